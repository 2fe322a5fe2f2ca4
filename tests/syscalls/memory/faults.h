/* Does touching an address fault, and how? Shared by the programs of this folder. */
#ifndef FAULTS_H
#define FAULTS_H
#include "observe.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf after_fault;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    fault_signal = signal;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(after_fault, 1);
}

UNUSED static void catch_faults(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static const char *fault_name(void *expected)
{
    static char texts[8][80]; /* one line may show several */
    static int turn;
    char *text = texts[turn++ % 8];
    const char *code = fault_signal == SIGSEGV
        ? (fault_code == SEGV_MAPERR ? "MAPERR" : fault_code == SEGV_ACCERR ? "ACCERR" : "other")
        : (fault_code == BUS_ADRERR ? "ADRERR" : "other");
    snprintf(text, sizeof texts[0], "%s %s%s", fault_signal == SIGSEGV ? "SIGSEGV" : "SIGBUS", code,
             fault_address == expected ? "" : " at another address");
    return text;
}

UNUSED static const char *reads(volatile char *p)
{
    if (sigsetjmp(after_fault, 1))
        return fault_name((void *)p);
    (void)*p;
    return "ok";
}

UNUSED static const char *writes(volatile char *p)
{
    if (sigsetjmp(after_fault, 1))
        return fault_name((void *)p);
    *p = 1;
    return "ok";
}

UNUSED static const char *runs(void *p)
{
    if (sigsetjmp(after_fault, 1))
        return fault_name(p);
    ((void (*)(void))p)();
    return "ok";
}

/* The flags that smaps shows of the mapping that begins at an address. */
UNUSED static const char *vm_flags(const void *p)
{
    static char smaps[1 << 20];
    char start[40];
    slurp("/proc/self/smaps", smaps, sizeof smaps);
    snprintf(start, sizeof start, "%lx-", (long)p);
    char *line = strstr(smaps, start);
    if (!line)
        return "no mapping begins there";
    static char texts[4][160]; /* one line may show several */
    static int turn;
    char *text = texts[turn++ % 4];
    sscanf(strstr(line, "VmFlags:"), "%159[^\n]", text);
    return text;
}
#endif
