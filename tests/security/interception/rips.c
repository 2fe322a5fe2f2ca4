// build: static
/*
 * A storm of signals on a thread that does nothing but system calls: every frame shows an instruction
 * pointer at the start of an instruction of the program, never code that is not its own.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* `at` marks the start of an instruction. */
__asm__(".pushsection .data.rel.ro, \"aw\"\n .balign 8\n starts:\n .popsection\n"
        ".macro at\n 9: .pushsection .data.rel.ro\n .quad 9b\n .popsection\n .endm\n"
        ".text\n"
        "loop_start: at\n push %rbx\n at\n mov %rdi, %rbx\n"
        "1: at\n mov $110, %eax\n at\n syscall\n at\n cmp $-4096, %rax\n"
        " at\n mov $110, %r8d\n at\n mov %r8d, %eax\n at\n syscall\n at\n cmp $-4096, %rax\n"
        " at\n .byte 0x48,0xc7,0xc0,24,0,0,0\n at\n syscall\n at\n cmp $-4096, %rax\n"
        " at\n dec %rbx\n at\n jnz 1b\n at\n pop %rbx\n at\n ret\n"
        "loop_end:\n"
        ".pushsection .data.rel.ro\n starts_end:\n .popsection\n");

extern const uintptr_t starts[], starts_end[];
extern const char loop_start[], loop_end[], __executable_start[], etext[];
void loop(long rounds) __asm__("loop_start");

static volatile long in_loop, between, elsewhere;

static void handler(int number, siginfo_t *info, void *context)
{
    uintptr_t rip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)number;
    (void)info;
    if (rip >= (uintptr_t)loop_start && rip < (uintptr_t)loop_end) {
        in_loop++;
        for (const uintptr_t *start = starts; start < starts_end; start++)
            if (*start == rip)
                return;
        between++;
    } else if (rip < (uintptr_t)__executable_start || rip >= (uintptr_t)etext) {
        elsewhere++;
    }
}

static volatile int stop;
static pid_t target;

static void *storm(void *unused)
{
    while (!stop) {
        syscall(SYS_tgkill, getpid(), target, SIGUSR1);
        usleep(30);
    }
    return unused;
}

int main(void)
{
    pthread_t thread;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    target = (pid_t)syscall(SYS_gettid);
    pthread_create(&thread, NULL, storm, NULL);
    for (int i = 0; i < 200 && in_loop < 2000; i++)
        loop(2000);
    stop = 1;
    pthread_join(thread, NULL);
    printf("signals came: %s; within an instruction: %ld; outside of the program: %ld\n",
           in_loop > 100 ? "yes" : "no", between, elsewhere);
    return 0;
}
