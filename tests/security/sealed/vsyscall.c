/*
 * The three functions of the vsyscall page, as on Linux with vsyscall=xonly: good calls are answered, bad
 * addresses end in SIGSEGV, and nothing but the result changes.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { GETTIMEOFDAY = 0, TIME = 0x400, GETCPU = 0x800 };
static sigjmp_buf back;
static int signal_code;

static void caught(int number, siginfo_t *info, void *context)
{
    (void)context;
    signal_code = info->si_code;
    siglongjmp(back, number);
}

/* Calls the page with given arguments; says whether a register changed that must not. */
static long call(long offset, void *a, void *b, void *c, const char **changed)
{
    uint64_t target = 0xffffffffff600000 + offset, rdx = (uint64_t)c, rdi = (uint64_t)a, rsi = (uint64_t)b;
    uint64_t r8 = 8, r9 = 9, r10 = 10, r12 = 12, r13 = 13, before, after;
    long result;
    __asm__ volatile(
        "mov %12, %%r8\n mov %13, %%r9\n mov %14, %%r10\n mov $12, %%r12\n mov $13, %%r13\n"
        "mov %%rsp, %5\n call *%11\n mov %%rsp, %6\n"
        "mov %%r8, %7\n mov %%r9, %8\n mov %%r12, %9\n mov %%r13, %10\n"
        : "=a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "=m"(r10), "=m"(before), "=m"(after), "=m"(r8), "=m"(r9),
          "=m"(r12), "=m"(r13)
        : "r"(target), "i"(8), "i"(9), "i"(10)
        : "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "memory", "cc");
    if (rdx != (uint64_t)c)
        *changed = "rdx";
    else if (rdi != (uint64_t)a || rsi != (uint64_t)b)
        *changed = "rdi or rsi";
    else if (before != after)
        *changed = "rsp";
    else if (r8 != 8 || r9 != 9 || r12 != 12 || r13 != 13)
        *changed = "another register";
    return result;
}

static void try(const char *what, long offset, void *a, void *b, void *c)
{
    static const char *changed;
    int number = sigsetjmp(back, 1);
    if (number) {
        printf("%s: %s, code %d\n", what, strsignal(number), signal_code);
        return;
    }
    changed = NULL;
    long result = call(offset, a, b, c, &changed);
    int sane = offset == TIME ? result > 1000000000 : result == 0;
    printf("%s: %s, changed %s\n", what, sane ? "answered" : "WRONG", changed ? changed : "nothing");
}

static void without_stack(void)
{
    int number = sigsetjmp(back, 1);
    if (number == 0)
        __asm__ volatile("mov %0, %%rsp\n jmp *%1" ::"r"(0x20000L), "r"(0xffffffffff600400) : "memory");
    printf("no stack: %s, code %d\n", strsignal(number), signal_code);
}

int main(void)
{
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    struct timeval now = {0}, limits;
    struct timezone zone = {1, 1};
    long seconds = 0;
    unsigned cpu = ~0U, node = ~0U;
    void *bad = (void *)0x20000;
    char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(edge + 4096, 4096, PROT_READ);

    try("gettimeofday", GETTIMEOFDAY, &now, &zone, (void *)3);
    try("gettimeofday of nothing", GETTIMEOFDAY, NULL, NULL, NULL);
    try("time", TIME, &seconds, (void *)2, (void *)3);
    try("time to nowhere", TIME, NULL, NULL, NULL);
    try("getcpu", GETCPU, &cpu, &node, bad);
    try("getcpu of nothing", GETCPU, NULL, NULL, NULL);
    gettimeofday(&limits, NULL);
    printf("same clock %d, %d; zone %d; node %u; cpu %d\n", limits.tv_sec - seconds <= 2, now.tv_sec <= limits.tv_sec,
           zone.tz_minuteswest, node, cpu < (unsigned)sysconf(_SC_NPROCESSORS_CONF));

    try("gettimeofday, bad address", GETTIMEOFDAY, bad, NULL, NULL);
    try("gettimeofday, bad zone", GETTIMEOFDAY, &now, bad, NULL);
    try("time, bad address", TIME, bad, NULL, NULL);
    try("time, read-only", TIME, edge + 4096, NULL, NULL);
    try("time, over the edge", TIME, edge + 4092, NULL, NULL);
    try("time, kernel address", TIME, (void *)0xffff800000000000, NULL, NULL);
    try("getcpu, bad address", GETCPU, bad, NULL, NULL);
    try("the fourth", 0xc00, NULL, NULL, NULL);
    try("one byte on", 1, NULL, NULL, NULL);
    try("the page behind", 0x1000, NULL, NULL, NULL);
    without_stack();
    seconds = 0;
    try("time once more", TIME, &seconds, NULL, NULL);
    printf("stored %d\n", seconds > 1000000000);
    return 0;
}
