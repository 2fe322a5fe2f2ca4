/* Three threads, each somewhere else, when one of them reads where nothing is. What its core must show stands in
 * variables and registers with known values. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct record {
    int number;
    const char *text;
};

static struct record global = {4711, "a string of the program"};
char *heap, *secret;
static volatile int ready;

static __attribute__((noinline)) void waits(int *pipe_ends)
{
    char byte;
    __sync_fetch_and_add(&ready, 1);
    read(pipe_ends[0], &byte, 1);
}

static void *sleeper(void *pipe_ends)
{
    waits(pipe_ends);
    return NULL;
}

static __attribute__((noinline)) void computes(volatile uint64_t *counter)
{
    __sync_fetch_and_add(&ready, 1);
    for (;;)
        ++*counter;
}

static void *spinner(void *counter)
{
    computes(counter);
    return NULL;
}

static __attribute__((noinline)) int crashes(int depth, struct record *record)
{
    if (depth > 0)
        return crashes(depth - 1, record) + record->number;
    __asm__ volatile("movq %0, %%xmm7\n\tmov $0x1234567890abcdef, %%r15\n\tmov 16, %%eax"
                     : : "r"(0x1122334455667788ULL) : "xmm7", "r15", "eax", "memory");
    return 0;
}

int main(int argc, char **argv)
{
    static int ends[2];
    static volatile uint64_t counter;
    pthread_t threads[2];
    heap = malloc(1 << 20);
    memset(heap, 0x5a, 1 << 20);
    secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(secret, "not for the core");
    madvise(secret, 4096, MADV_DONTDUMP);
    pipe(ends);
    if (argc > 1)
        return 0;
    pthread_create(&threads[0], NULL, sleeper, ends);
    pthread_create(&threads[1], NULL, spinner, (void *)&counter);
    while (ready < 2)
        usleep(1000);
    return crashes(3, &global) + argv[0][0];
}
