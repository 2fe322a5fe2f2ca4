// build: static musl
/* mremap: grow, shrink, move, fixed, several at once, DONTUNMAP, errors. */
#include "faults.h"

#define RW (PROT_READ | PROT_WRITE)

#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)
#define KEEP 4 /* MREMAP_DONTUNMAP */

static char *area;

/* What is at each page: its letter, 0, nothing (.) or nothing that may be read (-). */
static const char *pages(char *p, int count)
{
    static char texts[4][32];
    static int turn;
    char *text = texts[turn++ % 4];
    for (int i = 0; i < count; i++) {
        const char *outcome = reads(p + i * PAGE);
        text[i] = *outcome == 'o' ? (p[i * PAGE] ? p[i * PAGE] : '0') : strstr(outcome, "MAPERR") ? '.' : '-';
    }
    text[count] = 0;
    return text;
}

/* Moves pages of the alphabet, which is several mappings with a hole. */
static void moves(const char *what, int from, int old, int new, int flags, int to)
{
    munmap(area, 64 * PAGE);
    mmap(area, 16 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mmap(area + 32 * PAGE, 16 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(area + 32 * PAGE, 'T', 16 * PAGE);
    for (int i = 0; i < 16; i++)
        area[i * PAGE] = (char)('a' + i);
    mprotect(area + 2 * PAGE, 2 * PAGE, PROT_READ);
    munmap(area + 5 * PAGE, PAGE);
    mprotect(area + 8 * PAGE, PAGE, PROT_NONE);
    char *target = area + to * PAGE;
    char *at = mremap(area + from * PAGE, old * PAGE, new * PAGE, flags, target);
    say("%s: %s: %s %s", what, at == MAP_FAILED ? errno_name(errno) : at == target ? "there" : "elsewhere",
        pages(area, 16), pages(area + 32 * PAGE, 16));
}

static void several(void)
{
    area = fresh(64 * PAGE);
    moves("two mappings", 0, 4, 4, FIXED, 32);
    moves("over a hole", 0, 16, 16, FIXED, 32);
    moves("from a hole on", 5, 3, 3, FIXED, 32);
    moves("to a hole", 3, 3, 3, FIXED, 32);
    moves("nothing but a hole", 5, 1, 1, FIXED, 32);
    moves("parts of mappings", 1, 6, 6, FIXED, 34);
    moves("behind themselves", 0, 16, 16, FIXED, 16);
    moves("onto each other", 0, 4, 4, FIXED, 2);
    moves("into the next", 0, 4, 4, FIXED, 9);
    moves("DONTUNMAP", 0, 8, 8, FIXED | KEEP, 32);
    moves("DONTUNMAP anywhere", 0, 4, 4, MREMAP_MAYMOVE | KEEP, 0);
    moves("longer", 0, 4, 5, FIXED, 32);
    moves("shorter, two are left", 0, 4, 3, FIXED, 32);
    moves("shorter, one is left", 0, 4, 1, FIXED, 32);
    moves("cut down to one", 0, 16, 2, FIXED, 32);
    munmap(area, 64 * PAGE);
}

/* MREMAP_DONTUNMAP of what is no private memory. */
static void keeping(void)
{
    int fd = memfd_create("m", 0);
    ftruncate(fd, 4 * PAGE);
    pwrite(fd, "file", 4, 0);
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    char *q = mapped("DONTUNMAP shared", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | KEEP, 0));
    q[0] = 'F';
    p[1] = 'I';
    say("both show the file: %.4s %.4s", p, q);
    p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    p[0] = 'p';
    q = mapped("DONTUNMAP private", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | KEEP, 0));
    say("what was written moves, the file stays: %.4s %.4s", p, q);
    p[1] = 'n';
    say("they are apart: %.4s %.4s", p, q);
    q = mapped("DONTUNMAP a part", mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | KEEP, 0));
    say("%.4s %.4s, %d behind it", p, q, p[PAGE]);
    p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    p[0] = 'a';
    q = mapped("DONTUNMAP shared memory", mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | KEEP, 0));
    q[0]++;
    say("both show it: %c %c", p[0], q[0]);
    p = fresh(2 * PAGE);
    mlock(p, 2 * PAGE);
    q = mapped("DONTUNMAP locked", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | KEEP, 0));
    say("old %s, new %s", vm_flags(p), vm_flags(q));
    p = fresh(PAGE);
    mapped("DONTUNMAP of odd sizes", mremap(p, 100, 200, MREMAP_MAYMOVE | KEEP, 0));
    mapped("DONTUNMAP longer", mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | KEEP, 0));
    mapped("DONTUNMAP without MAYMOVE", mremap(p, PAGE, PAGE, KEEP, 0));
    mapped("DONTUNMAP onto itself", mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | KEEP, p));
    mapped("DONTUNMAP to an odd hint", mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | KEEP, p + 1));
    close(fd);
}

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

    keeping();
    several();

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
