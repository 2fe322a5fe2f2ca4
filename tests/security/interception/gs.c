// build: static dynamic
/*
 * GS belongs to the program: set by the system call, by wrgsbase where AT_HWCAP2 allows it, or as a
 * selector, it keeps its value across system calls of every shape, and what it points to is not touched.
 */
#include <asm/prctl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long by_mov(void)
{
    long result;
    __asm__ volatile("mov $110, %%eax\n syscall\n cmp $-4096, %%rax" : "=a"(result)::"rcx", "r11", "memory");
    return result;
}

static long by_pun(long nr)
{
    __asm__ volatile("syscall\n cmp $-4096, %%rax" : "+a"(nr)::"rcx", "r11", "memory");
    return nr;
}

static long set_gs(uintptr_t to)
{
    return by_pun(SYS_getppid) < 0 ? -1 : syscall(SYS_arch_prctl, ARCH_SET_GS, to);
}

static uintptr_t get_gs(void)
{
    uintptr_t value = 1;
    syscall(SYS_arch_prctl, ARCH_GET_GS, &value);
    return value;
}

static uint64_t first_word(void)
{
    uint64_t value;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
    return value;
}

static int calls(long parent)
{
    int good = 1;
    for (int i = 0; i < 10; i++)
        good &= by_mov() == parent && by_pun(SYS_getppid) == parent && by_pun(SYS_sched_yield) == 0;
    return good;
}

static void say(const char *what, int good)
{
    printf("%s: %s\n", what, good ? "yes" : "no");
}

int main(void)
{
    long parent = getppid();
    uint8_t *block = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static uint8_t before[65536];
    say("calls with GS as at the start", calls(parent));
    say("it is zero", get_gs() == 0);
    memset(block, 0x5a, 65536);
    memset(before, 0x5a, 65536);

    say("set by arch_prctl", set_gs((uintptr_t)block) == 0);
    say("calls", calls(parent));
    say("its value", get_gs() == (uintptr_t)block);
    say("its first word", first_word() == 0x5a5a5a5a5a5a5a5a);
    say("its block is untouched", memcmp(block, before, 65536) == 0);

    if (getauxval(AT_HWCAP2) & 2) {
        uintptr_t value;
        __asm__ volatile("wrgsbase %0" ::"r"(block + 4096));
        int good = calls(parent);
        __asm__ volatile("rdgsbase %0" : "=r"(value));
        if (!good || value != (uintptr_t)block + 4096 || get_gs() != value)
            say("wrgsbase", 0);
    }
    say("its block is still untouched", memcmp(block, before, 65536) == 0);
    say("set back", set_gs(0) == 0);
    say("calls", calls(parent));

    /* A null selector clears the base on some processors and keeps it on others. */
    __asm__ volatile("mov %0, %%gs" ::"r"(0));
    say("calls after a null selector", calls(parent));
    /* __USER_DS, as 32-bit code would have it. */
    __asm__ volatile("mov %0, %%gs" ::"r"(0x2b));
    say("calls after a flat selector", calls(parent));
    return 0;
}
