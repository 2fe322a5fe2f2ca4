// build: static dynamic no-pie
/*
 * A backtrace from a signal handler reaches through the signal's frame, also after the return from
 * signals has been made many times; the nine bytes by which unwinders know it stay as they are.
 */
#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static volatile int calls, seen;
static char *outer_start, *outer_end;

static void handler(int number)
{
    void *frames[64];
    int depth = backtrace(frames, 64);
    (void)number;
    calls++;
    for (int i = 0; i < depth; i++)
        if ((char *)frames[i] >= outer_start && (char *)frames[i] < outer_end) {
            seen++;
            break;
        }
}

__attribute__((noinline, section(".text.outer"))) static void outer(void)
{
    for (int i = 0; i < 10; i++)
        raise(SIGUSR1);
}

/* The known bytes, in a place without call frame information. */
__asm__(".text\n.balign 16\nown_restorer: .byte 0x48,0xc7,0xc0,0x0f,0,0,0,0x0f,0x05\n nop\n");
void own_restorer(void);

static void show(const char *whose, const uint8_t *restorer)
{
    printf("%s restorer:", whose);
    for (int i = 0; i < 9; i++)
        printf(" %02x", restorer[i]);
    printf("\n");
}

int main(void)
{
    struct kernel_action installed;
    struct sigaction action = {.sa_handler = handler};
    outer_start = (char *)outer;
    outer_end = outer_start + 64;
    sigaction(SIGUSR1, &action, NULL);
    outer();
    printf("%d signals, %d backtraces through them\n", calls, seen);
    syscall(SYS_rt_sigaction, SIGUSR1, NULL, &installed, 8);
    show("the library's", (const uint8_t *)installed.restorer);

    installed.restorer = own_restorer;
    syscall(SYS_rt_sigaction, SIGUSR1, &installed, NULL, 8);
    calls = seen = 0;
    outer();
    printf("%d signals, %d backtraces through them\n", calls, seen);
    syscall(SYS_rt_sigaction, SIGUSR1, NULL, &installed, 8);
    printf("the restorer is the one that was set: %d\n", installed.restorer == own_restorer);
    show("own", (const uint8_t *)own_restorer);
    return 0;
}
