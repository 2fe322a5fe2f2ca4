// build: static musl
/* mremap: grow, shrink, move, fixed, DONTUNMAP, errors. */
#include "faults.h"

#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
    catch_faults();
    char *area = fresh(64 * PAGE), *p = area;
    munmap(area, 64 * PAGE);
    p = mmap(area, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    p[0] = 'a';
    p[2 * PAGE - 1] = 'z';
    char *q = mremap(p, 2 * PAGE, 4 * PAGE, 0);
    yes("grows in place where there is room", q == p);
    yes("new pages are zero", q[2 * PAGE] == 0 && q[4 * PAGE - 1] == 0);
    q = mremap(p, 4 * PAGE, 3 * PAGE, 0);
    yes("shrinks in place", q == p);
    say("behind it %s", reads(p + 3 * PAGE));
    mmap(p + 3 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mapped("no room and may not move", mremap(p, 3 * PAGE, 5 * PAGE, 0));
    q = mapped("may move", mremap(p, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
    yes("elsewhere", q != p);
    yes("with its content", q[0] == 'a' && q[2 * PAGE - 1] == 'z' && q[4 * PAGE] == 0);
    say("the old place %s", reads(p));
    q[0] = 'b';
    char *to = p + 20 * PAGE;
    char *r = mapped("FIXED", mremap(q, 5 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    yes("there", r == to && r[0] == 'b');
    mapped("FIXED without MAYMOVE", mremap(r, PAGE, PAGE, MREMAP_FIXED, p));
    mapped("FIXED onto itself", mremap(r, 5 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r + PAGE));
    mapped("FIXED unaligned", mremap(r, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 1));
    mapped("unaligned", mremap(r + 1, PAGE, PAGE, MREMAP_MAYMOVE));
    mapped("no new bytes", mremap(r, PAGE, 0, MREMAP_MAYMOVE));
    mapped("no old bytes, private", mremap(r, 0, PAGE, MREMAP_MAYMOVE));
    mapped("unknown flag", mremap(r, PAGE, PAGE, 64));
    mapped("unmapped", mremap(p + 40 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    mapped("more than the mapping", mremap(r, 6 * PAGE, 8 * PAGE, MREMAP_MAYMOVE));
    mapped("more than the space", mremap(r, PAGE, 1UL << 50, MREMAP_MAYMOVE));
    q = mremap(r, 5 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p);
    yes("moved and shrunk", q == p && q[0] == 'b');
    say("its old tail %s", reads(r + 4 * PAGE));
    mprotect(q + PAGE, PAGE, PROT_READ);
    mapped("across two protections, growing", mremap(q, 2 * PAGE, 9 * PAGE, MREMAP_MAYMOVE));
    q = mremap(q + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    say("a part moves with its protection: %s %s", reads(q), writes(q));
    say("the rest stays: %s", writes(p));

    int fd = memfd_create("m", 0);
    ftruncate(fd, 8 * PAGE);
    char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 2 * PAGE);
    s[0] = 's';
    char *twin = mapped("no old bytes, shared, makes a twin", mremap(s, 0, PAGE, MREMAP_MAYMOVE));
    yes("the same memory", twin[0] == 's' && (twin[1] = 't') && s[1] == 't');
    s = mremap(s, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
    s[5 * PAGE] = 'e';
    char c;
    pread(fd, &c, 1, 7 * PAGE);
    yes("a file mapping grows along the file", c == 'e');
    s = mremap(s, 6 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    say("behind the end of the file %s", reads(s + 7 * PAGE));

    p = fresh(2 * PAGE);
    p[0] = 'd';
    q = (char *)syscall(SYS_mremap, p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | 4 /* DONTUNMAP */, 0);
    mapped("DONTUNMAP", q);
    if (q != MAP_FAILED)
        say("moved %c, left %d", q[0], p[0]);

    char *big = fresh(256UL << 20);
    for (size_t i = 0; i < 256; i++)
        big[i << 20] = (char)i;
    mmap(big + (256UL << 20), PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    big = mremap(big, 256UL << 20, 512UL << 20, MREMAP_MAYMOVE);
    int same = 1;
    for (size_t i = 0; i < 256; i++)
        same &= big[i << 20] == (char)i;
    yes("256 MiB moved", same);
    return 0;
}
