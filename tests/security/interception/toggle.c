// build: static
// timeout: 120
/*
 * Threads make system calls at sites in a page that another thread makes writable and read-only again:
 * each time the sites get their own bytes back, and are rewritten when they are reached next. Some lie
 * across two cache lines. No call may go wrong, and no thread may see half an instruction.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 2 };

#define SPLIT(name, before, code) \
    ".balign 64\n .fill " #before ", 1, 0x90\n" #name ": " code "\n"

__asm__(".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "page_start:\n"
        SPLIT(mov_in_line, 0, "mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(mov_across_eight, 5, "mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(mov_across_1, 63, "mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(mov_across_4, 60, "mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(long_mov_across, 60, ".byte 0x48,0xc7,0xc0,110,0,0,0\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(pun_in_line, 0, "mov %edi, %eax\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(pun_odd, 5, "mov %edi, %eax\n syscall\n cmp $-4096, %rax\n ret")
        SPLIT(pun_across, 61, "mov %edi, %eax\n syscall\n cmp $-4096, %rax\n ret")
        " .balign 4096\n .popsection\n");

extern uint8_t page_start[];
long mov_in_line(int), mov_across_eight(int), mov_across_1(int), mov_across_4(int), long_mov_across(int),
    pun_in_line(int), pun_odd(int), pun_across(int);

static long (*const shapes[])(int) = {
    mov_in_line, mov_across_eight, mov_across_1, mov_across_4, long_mov_across, pun_in_line, pun_odd, pun_across,
};

static long parent;
static volatile int stop;

static void *call(void *result)
{
    long *wrong = result;
    while (!stop)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            *wrong += shapes[i](SYS_getppid) != parent;
    return NULL;
}

int main(int count, char **words)
{
    int toggles = count > 1 ? atoi(words[1]) : 3000;
    pthread_t threads[THREADS];
    long wrong[THREADS] = {0}, refused = 0, all = 0;
    parent = getppid();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, call, &wrong[i]);
    for (int i = 0; i < toggles; i++) {
        refused += mprotect(page_start, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0;
        if (i % 64 == 0)
            usleep(100);
        refused += mprotect(page_start, 4096, PROT_READ | PROT_EXEC) != 0;
        if (i % 16 == 0)
            usleep(200);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        all += wrong[i];
    }
    printf("%d toggles, %ld refused, %ld calls wrong\n", toggles, refused, all);
    return 0;
}
