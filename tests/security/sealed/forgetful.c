/*
 * A host that does not keep what it mapped: as far as `sim` lets a program, a thread makes the runner take a
 * page away as often as the LibOS brings it in; another one reads it, itself ("user") or by a system call.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Offset of the address of the runner's host call function in a vCPU's block. */
enum { HOST_ENTRY = 48 };

/* `abi::host::HostCall`. */
enum { PROTECT = 4 };

static volatile char *page;

static void *forget(void *unused)
{
    (void)unused;
    for (;;) {
        long (*host)(long, ...);
        __asm__ volatile("mov %%gs:%c1, %0" : "=r"(host) : "i"(HOST_ENTRY));
        host(PROTECT, page, 4096, PROT_NONE, 0, 0);
    }
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int pair[2];
    page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
    pipe(pair);
    printf("before\n");
    fflush(stdout);
    pthread_create(&thread, NULL, forget, NULL);
    for (;;) {
        if (argc > 1 && strcmp(argv[1], "user") == 0) {
            page[0]++;
        } else {
            write(pair[1], (char *)page, 1);
            read(pair[0], (char *)page, 1);
        }
    }
}
