// build: static
/*
 * The ways out of user code other than `syscall` as compilers write it. Each is tried by name (given as
 * arguments, all of them otherwise but those that differ from machine to machine) and says how it ended.
 *
 *   prefixed   48 0f 05: a system call all the same
 *   x32        bit 30 of the number: no such call
 *   negative   a number with the upper half set: no such call, or the lower half's, as Linux decides
 *   int81 int3 hlt in iopl   exceptions
 *   ends       a system call as the last bytes of the last page
 * and, only when named:
 *   int80      answered where Linux has 32-bit calls, else a fault; in an enclave always a fault
 *   sysenter   a fault in an enclave
 *   cs32       a far jump to 32-bit code that makes an `int 0x80`
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf back;

static void caught(int number)
{
    siglongjmp(back, number);
}

static long call(long nr)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr) : "rcx", "r11", "memory");
    return result;
}

static long prefixed(void)
{
    long result = 0;
    for (int i = 0; i < 5; i++)
        __asm__ volatile(".byte 0x48, 0x0f, 0x05" : "=a"(result) : "a"(SYS_getppid) : "rcx", "r11", "memory");
    return result == getppid();
}

static long operand_size(void)
{
    long result = 0;
    for (int i = 0; i < 5; i++)
        __asm__ volatile(".byte 0x66, 0x0f, 0x05\n cmp $-4096, %%rax" : "=a"(result) : "a"(SYS_getppid)
                         : "rcx", "r11", "memory");
    return result == getppid();
}

static long x32(void)
{
    long result = 0;
    for (int i = 0; i < 5; i++)
        result = call(0x40000000 | SYS_getpid);
    return result;
}

static long negative(void)
{
    return call(-1) == -38 && call(-5) == -38 && call(0x7fffffff) == -38;
}

static long int81(void)
{
    __asm__ volatile("int $0x81" ::: "memory");
    return 0;
}

static long breakpoint(void)
{
    __asm__ volatile("int3" ::: "memory");
    return 0;
}

static long hlt(void)
{
    __asm__ volatile("hlt" ::: "memory");
    return 0;
}

static long in(void)
{
    __asm__ volatile("in $0x80, %%al" ::: "rax", "memory");
    return 0;
}

static long ud(void)
{
    __asm__ volatile("ud2" ::: "memory");
    return 0;
}

static long sysretq(void)
{
    __asm__ volatile("sysretq" ::: "memory");
    return 0;
}

/* The bytes behind the system call are not there; the call must work and the fault come after it. */
static long ends(void)
{
    static const uint8_t code[] = {0x89, 0xf8, 0x0f, 0x05};
    uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    memcpy(page + 4092, code, 4);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    ((void (*)(int))(page + 4092))(SYS_sched_yield);
    return 0;
}

static long int80(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return result == getpid();
}

static long sysenter(void)
{
    __asm__ volatile("mov %%rsp, %%rbp\n sysenter" ::"a"(20) : "memory");
    return 0;
}

__attribute__((visibility("hidden"))) uint64_t kept_rsp;

static long cs32(void)
{
    uint8_t *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    /* mov $20,%eax; int $0x80; ljmp $0x33,$low+16; at 16: jmp *%r12 */
    static const uint8_t code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xea, 0, 0, 0, 0, 0x33, 0, 0x90, 0x90,
                                   0x41, 0xff, 0xe4};
    memcpy(low, code, sizeof code);
    uint32_t again = (uint32_t)(uintptr_t)low + 16;
    memcpy(low + 8, &again, 4);
    uint64_t target[2] = {(uintptr_t)low, 0x23};
    long result;
    __asm__ volatile("push %%rbx\n push %%rbp\n mov %%rsp, kept_rsp(%%rip)\n lea 1f(%%rip), %%r12\n"
                     "push 8(%1)\n push (%1)\n lretq\n"
                     "1: mov kept_rsp(%%rip), %%rsp\n pop %%rbp\n pop %%rbx\n"
                     : "=a"(result)
                     : "D"(target)
                     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    return (int)result == getpid();
}

static const struct {
    const char *name;
    long (*try)(void);
    int always;
} doors[] = {
    {"prefixed", prefixed, 1}, {"operand_size", operand_size, 1}, {"x32", x32, 1}, {"negative", negative, 1},
    {"int81", int81, 1}, {"int3", breakpoint, 1}, {"hlt", hlt, 1}, {"in", in, 1},
    {"ud", ud, 1}, {"sysretq", sysretq, 1}, {"ends", ends, 1}, {"int80", int80, 0},
    {"sysenter", sysenter, 0}, {"cs32", cs32, 0},
};

static void try(const char *name, long (*door)(void))
{
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        long result = door();
        printf("%s: returned %ld\n", name, result);
    } else {
        printf("%s: %s\n", name, strsignal(number));
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK};
    static const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE, SIGSYS};
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        int named = argc == 1 && doors[i].always;
        for (int a = 1; a < argc; a++)
            named |= strcmp(argv[a], doors[i].name) == 0;
        if (named)
            try(doors[i].name, doors[i].try);
    }
    return 0;
}
