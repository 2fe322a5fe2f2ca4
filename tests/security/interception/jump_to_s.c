// build: static dynamic
/*
 * Jumps to the `syscall` of a `mov; syscall` pair, with other numbers in rax, before and after the
 * pair has run as such; and jumps to what follows it.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

__asm__(".text\n"
        "pair: mov $39, %eax\n"
        "site: syscall\n"
        "behind: cmp $-4096, %rax\n"
        " ja 1f\n ret\n"
        "1: neg %rax\n ret\n"
        "long_pair: .byte 0x48,0xc7,0xc0,39,0,0,0\n"
        "long_site: syscall\n"
        "long_behind: cmp $-4096, %rax\n"
        " ja 1f\n ret\n"
        "1: neg %rax\n ret\n"
        ".globl pair, site, behind, long_pair, long_site, long_behind\n");

extern char pair[], site[], behind[], long_pair[], long_site[], long_behind[];

static long go(const char *to, long rax)
{
    long result = rax;
    __asm__ volatile("call *%1" : "+a"(result) : "r"(to) : "rcx", "r11", "memory", "cc");
    return result;
}

static void all(const char *name, const char *start, const char *syscall, const char *after)
{
    long pid = getpid(), parent = getppid();
    int good = 1;
    for (int round = 0; round < 20; round++) {
        good &= go(syscall, SYS_getppid) == parent;
        good &= go(syscall, SYS_getpid) == pid;
        good &= go(start, 1234567) == pid;
        good &= go(syscall, SYS_sched_yield) == 0;
        good &= go(after, -38) == 38;
        good &= go(after, 5) == 5;
        good &= go(syscall, 4242) == 38;
    }
    printf("%s: %s\n", name, good ? "as written" : "not as written");
}

int main(void)
{
    all("short", pair, site, behind);
    all("long", long_pair, long_site, long_behind);
    return 0;
}
