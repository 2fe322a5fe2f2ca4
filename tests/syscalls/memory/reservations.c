/* What runtimes do: reserve much, commit parts, give back, and ask for too much. */
#include "faults.h"

int main(void)
{
    catch_faults();
    char *heap = mapped("reserve 1 TiB", mmap(NULL, 1UL << 40, PROT_NONE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    say("untouchable %s", reads(heap + (1UL << 39)));
    for (int i = 0; i < 8; i++) {
        char *part = heap + ((uint64_t)i << 36);
        if (mprotect(part, 1 << 20, PROT_READ | PROT_WRITE))
            say("commit %d: %s", i, errno_name(errno));
        memset(part, i, 1 << 20);
    }
    for (int i = 0; i < 8; i++)
        printf("%d ", heap[((uint64_t)i << 36) + 12345]);
    say(" ");
    value("decommit", mprotect(heap, 1 << 20, PROT_NONE));
    value("DONTNEED", madvise(heap, 1 << 20, MADV_DONTNEED));
    value("commit again", mprotect(heap, 1 << 20, PROT_READ | PROT_WRITE));
    say("zero %d", heap[5]);
    char *over = mmap(heap + (1UL << 37), 1 << 20, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    yes("commit by MAP_FIXED", over == heap + (1UL << 37));
    over[0] = 1;
    mapped("decommit by MAP_FIXED", mmap(over, 1 << 20, PROT_NONE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
    say("%s", reads(over));
    value("away", munmap(heap, 1UL << 40));
    say("gone %s", reads(heap));
    int aligned = 1;
    for (int i = 0; i < 100; i++) { /* map twice the size, cut to alignment: jemalloc, Go */
        char *p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        char *q = (char *)(((uintptr_t)p + (4 << 20) - 1) & ~(uintptr_t)((4 << 20) - 1));
        if (q > p)
            munmap(p, q - p);
        munmap(q + (4 << 20), p + (8 << 20) - (q + (4 << 20)));
        q[0] = q[(4 << 20) - 1] = 1;
        aligned &= q[0] == 1;
        munmap(q, 4 << 20);
    }
    yes("aligned chunks", aligned);
    int many = 0;
    for (int i = 0; i < 20000; i++)
        many += mmap(NULL, PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                != MAP_FAILED;
    say("%d small mappings", many);
    return 0;
}
