// Memory that comes and goes: mapping, touching and unmapping, growing and shrinking the heap.
//
// usage: memory MILLISECONDS_PER_CASE

#include "measure.h"

#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define SOME (64 << 10)
#define MUCH (8 << 20)

static char *map(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(p == MAP_FAILED ? -1 : 0, "mmap");
    return p;
}

static void touch(char *p, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PAGE)
        ((volatile char *)p)[at] = 1;
}

static void map_touch_unmap(void *context, long count)
{
    size_t bytes = *(size_t *)context;
    while (count-- > 0) {
        char *p = map(bytes);
        touch(p, bytes);
        must(munmap(p, bytes), "munmap");
    }
}

static void map_unmap(void *context, long count)
{
    (void)context;
    while (count-- > 0)
        must(munmap(map(SOME), SOME), "munmap");
}

static void protect(void *context, long count)
{
    while (count-- > 0) {
        must(mprotect(context, PAGE, PROT_READ), "mprotect");
        must(mprotect(context, PAGE, PROT_READ | PROT_WRITE), "mprotect");
    }
}

static void drop_touch(void *context, long count)
{
    while (count-- > 0) {
        must(madvise(context, SOME, MADV_DONTNEED), "madvise");
        touch(context, SOME);
    }
}

static void grow_shrink(void *context, long count)
{
    (void)context;
    while (count-- > 0) {
        char *p = sbrk(SOME);
        must(p == (void *)-1 ? -1 : 0, "sbrk");
        touch(p, SOME);
        must(sbrk(-SOME) == (void *)-1 ? -1 : 0, "sbrk");
    }
}

int main(int argc, char **argv)
{
    size_t some = SOME, much = MUCH;
    begin(argc, argv);
    char *kept = map(SOME);
    touch(kept, SOME);
    measure("mmap, touch, munmap 64 KiB", map_touch_unmap, &some);
    measure("mmap, touch, munmap 8 MiB", map_touch_unmap, &much);
    measure("mmap, munmap 64 KiB", map_unmap, NULL);
    measure("mprotect 4 KiB, twice", protect, kept);
    measure("MADV_DONTNEED, touch 64 KiB", drop_touch, kept);
    measure("sbrk, touch, sbrk back 64 KiB", grow_shrink, NULL);
    end();
    return 0;
}
