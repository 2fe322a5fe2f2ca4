/* sigaltstack: handlers run there, limits, overflow of the main stack survived. */
#include "observe.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>

static char *stack;
#define STACK (64 << 10)
static volatile int on_it, flags_inside, nested_error;
static sigjmp_buf out;

static void where(int signal)
{
    (void)signal;
    char here;
    on_it = &here >= stack && &here < stack + STACK;
    stack_t now;
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
    stack_t other = {stack, 0, STACK};
    nested_error = sigaltstack(&other, NULL) == -1 ? errno : 0;
}

static void overflowed(int signal)
{
    (void)signal;
    char here;
    on_it = &here >= stack && &here < stack + STACK;
    siglongjmp(out, 1);
}

static __attribute__((noinline)) int deep(volatile char *up)
{
    volatile char frame[4096];
    frame[0] = up[0];
    return deep(frame) + frame[0];
}

int main(void)
{
    stack_t s, old;
    stack = fresh(STACK);
    value("read", sigaltstack(NULL, &old));
    say("disabled at first %d", old.ss_flags == SS_DISABLE);
    s = (stack_t){stack, 0, 100};
    value("too small", sigaltstack(&s, NULL));
    s = (stack_t){stack, 77, STACK};
    value("unknown flags", sigaltstack(&s, NULL));
    s = (stack_t){stack, 0, STACK};
    value("set", sigaltstack(&s, NULL));
    sigaltstack(NULL, &old);
    yes("as set", old.ss_sp == stack && old.ss_size == STACK && old.ss_flags == 0);
    value("bad pointer", syscall(SYS_sigaltstack, 8, NULL));
    struct sigaction a = {.sa_handler = where};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    say("without SA_ONSTACK: on it %d, flags %d", on_it, flags_inside);
    a.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &a, NULL);
    sigaltstack(&s, NULL);
    raise(SIGUSR1);
    say("with it: on it %d, flags %d, changing it there %s", on_it, flags_inside, errno_name(nested_error));
    s.ss_flags = (int)(1U << 31); /* SS_AUTODISARM */
    value("AUTODISARM", sigaltstack(&s, NULL));
    raise(SIGUSR1);
    say("on it %d, flags %d, changing it there %s", on_it, flags_inside, errno_name(nested_error));
    s.ss_flags = 0;
    sigaltstack(&s, NULL);
    a = (struct sigaction){.sa_handler = overflowed, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &a, NULL);
    for (int i = 0; i < 3; i++)
        if (!sigsetjmp(out, 1))
            deep("");
        else
            say("stack overflow survived, on it %d", on_it);
    s.ss_flags = SS_DISABLE;
    value("disable", sigaltstack(&s, NULL));
    sigaltstack(NULL, &old);
    say("flags %d", old.ss_flags);
    yes("MINSIGSTKSZ in the auxiliary vector", getauxval(AT_MINSIGSTKSZ) >= 1024);
    return 0;
}
