// build: static musl
/* brk by raw calls: grow, shrink, zeroes, refusals that return the old end. */
#include "faults.h"
#include <sys/resource.h>

static char *raw_brk(void *end) { return (char *)syscall(SYS_brk, end); }

int main(void)
{
    catch_faults();
    char *start = raw_brk(NULL);
    yes("an end", start != NULL);
    yes("again the same", raw_brk(NULL) == start);
    yes("below the start is refused", raw_brk((void *)4096) == start);
    char *end = raw_brk(start + 100000);
    yes("grows to the byte", end == start + 100000);
    yes("zero", end[-1] == 0 && start[0] == 0);
    memset(start, 7, 100000);
    end = raw_brk(start + 10);
    yes("shrinks", end == start + 10);
    char *first_page = (char *)(((uintptr_t)start + 10 + PAGE - 1) & ~(PAGE - 1));
    say("behind the end %s", reads(first_page));
    end = raw_brk(start + 100000);
    yes("grows again", end == start + 100000);
    yes("zero again", first_page[0] == 0 && end[-1] == 0);
    yes("the rest is kept", start[9] == 7);
    char *wall = mmap((void *)(((uintptr_t)end + 16 * PAGE) & ~(PAGE - 1)), PAGE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    mapped("something in its way", wall);
    yes("no growth through it", raw_brk(end + 64 * PAGE) == end);
    yes("up to it", raw_brk(end + 8 * PAGE) == end + 8 * PAGE);
    raw_brk(end);
    munmap(wall, PAGE);
    yes("a terabyte is refused", raw_brk(end + (1L << 46)) == end);
    struct rlimit limit = {200000, RLIM_INFINITY};
    setrlimit(RLIMIT_DATA, &limit);
    yes("RLIMIT_DATA", raw_brk(end + 400000) == end);
    raw_brk(start);
    yes("all back", raw_brk(NULL) == start);
    return 0;
}
