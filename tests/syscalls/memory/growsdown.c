/* Stacks that grow: the main thread's to its limit, and a MAP_GROWSDOWN mapping by one page a touch. */
#include "faults.h"
#include <sys/resource.h>

static __attribute__((noinline)) int deep(int n)
{
    volatile char frame[1024];
    frame[0] = (char)n;
    return n == 0 ? 0 : deep(n - 1) + (frame[0] == (char)n);
}

static __attribute__((noinline)) int wide(void)
{
    volatile char big[4 << 20];
    big[0] = 1;
    big[sizeof big - 1] = 1;
    return big[0];
}

int main(void)
{
    catch_faults();
    yes("a 4 MiB frame, its far end first", wide() == 1);
    say("6 MiB of recursion: %d", deep(5500));
    /* Room below the mapping, so that the guard gap is free. */
    char *area = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    munmap(area, 4 << 20);
    char *top = area + (3 << 20);
    char *p = mapped("GROWSDOWN", mmap(top, PAGE, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
    p[0] = 1;
    say("one page down %s", writes(p - 1));
    say("the next %s", writes(p - PAGE - 1));
    say("64 pages further %s", writes(p - 64 * PAGE));
    yes("what grew is zero", p[-60 * (long)PAGE] == 0);
    say("above it %s", reads(p + PAGE));
    mapped("GROWSDOWN shared", mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    return 0;
}
