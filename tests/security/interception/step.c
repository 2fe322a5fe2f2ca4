// build: static dynamic
/*
 * A program that steps through its own instructions meets a system call as one of them, whether its site
 * was rewritten or not.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

__asm__(".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "stepped: pushf\n orl $0x100, (%rsp)\n popf\n mov %edi, %eax\n syscall\n cmp $-4096, %rax\n nop\n"
        "pushf\n andl $~0x100, (%rsp)\n popf\n nop\n ret\n"
        " .balign 4096\n .popsection\n");
extern uint8_t stepped[];

enum { MOST = 64 };
static long seen[MOST];
static int count;

static void trapped(int number, siginfo_t *info, void *context)
{
    (void)number;
    uintptr_t rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (count < MOST)
        seen[count++] = rip == (uintptr_t)info->si_addr ? (long)(rip - (uintptr_t)stepped) : -1;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (int round = 0; round < 4; round++) {
        count = 0;
        long got = ((long (*)(int))stepped)(SYS_getppid);
        printf("%s:", got == getppid() ? "right" : "wrong");
        for (int i = 0; i < count; i++)
            printf(" %ld", seen[i]);
        printf("\n");
    }
    return 0;
}
