/*
 * What an endless recursion in the LibOS would come to: its stack is moved down until little is left of it
 * (`sim` lets a program do that), and the next system call runs out of it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Layout of a vCPU's block: its own address, and the LibOS's stack pointer while user code runs. */
enum { THIS = 0, LIBOS_SP = 8, STRIDE = 0x100000, STACK_LIMIT = 0x11000 };

int main(int argc, char **argv)
{
    uint64_t block, old, room = argc > 1 ? strtoull(argv[1], NULL, 0) : 256;
    printf("before\n");
    fflush(stdout);
    getppid();
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(block) : "i"(THIS));
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(old) : "i"(LIBOS_SP));
    /* Frames find their own data by the stack pointer, so the used part moves as a whole. */
    uint64_t used = block + STRIDE - old, new = block + STACK_LIMIT + room;
    memmove((void *)new, (void *)old, used);
    __asm__ volatile("mov %0, %%gs:%c1" ::"r"(new), "i"(LIBOS_SP) : "memory");
    char buffer[64] = "after\n";
    for (;;)
        syscall(SYS_readlink, "/proc/self/exe", buffer, sizeof buffer);
}
