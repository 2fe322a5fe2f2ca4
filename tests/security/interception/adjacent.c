// build: static dynamic
/*
 * System calls so close together that rewriting one would need bytes of the next: each has to go on
 * doing what it says, in whichever order they are first reached.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In: rdi, rsi, rdx as for write of one byte to a pipe, rax = 1. Each write returns 1, which is the
   number of the next. */
__asm__(".text\n"
        "three: mov $1, %eax\n syscall\n syscall\n syscall\n ret\n"
        /* As musl's _exit: the number of the second is loaded between. */
        "loaded: mov $1, %eax\n syscall\n mov $110, %eax\n syscall\n mov $39, %eax\n syscall\n ret\n"
        /* The same with the long form. */
        "loaded_long: mov %r8, %rax\n syscall\n .byte 0x48,0xc7,0xc0,110,0,0,0\n syscall\n"
        " .byte 0x48,0xc7,0xc0,39,0,0,0\n syscall\n ret\n"
        /* Entered at any of its calls; r8 says which. */
        "anywhere: lea 1f(%rip), %r9\n add %r8, %r9\n jmp *%r9\n"
        "1: syscall\n 2: syscall\n 3: syscall\n ret\n");

long three(int fd, const char *from, size_t len);
long loaded(int fd, const char *from, size_t len);
long loaded_long(int fd, const char *from, size_t len, long unused, long nr);
long anywhere_asm(int fd, const char *from, size_t len, long unused, long skip) __asm__("anywhere");

static long anywhere(int fd, long skip)
{
    long result;
    register long r8 __asm__("r8") = skip;
    __asm__ volatile("call anywhere"
                     : "=a"(result)
                     : "a"(SYS_write), "D"(fd), "S"("w"), "d"(1), "r"(r8)
                     : "rcx", "r9", "r11", "memory");
    return result;
}

static int drain(int fd)
{
    char bytes[64];
    return (int)read(fd, bytes, sizeof bytes);
}

int main(void)
{
    int ends[2];
    if (pipe(ends))
        return 1;
    long pid = getpid();
    for (int round = 0; round < 4; round++) {
        long result = three(ends[1], "x", 1);
        printf("three: %ld, %d written\n", result, drain(ends[0]));
        result = loaded(ends[1], "y", 1);
        printf("loaded: %d, %d written\n", result == pid, drain(ends[0]));
        result = loaded_long(ends[1], "z", 1, 0, SYS_write);
        printf("loaded_long: %d, %d written\n", result == pid, drain(ends[0]));
    }
    /* From the last to the first, so that the later one is rewritten first. */
    for (int round = 0; round < 4; round++)
        for (long skip = 4; skip >= 0; skip -= 2) {
            long result = anywhere(ends[1], skip);
            printf("from the call at %ld: %ld, %d written\n", skip, result, drain(ends[0]));
        }
    return 0;
}
