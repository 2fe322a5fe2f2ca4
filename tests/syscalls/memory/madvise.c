/* madvise: DONTNEED zeroes or rereads, the harmless kinds, errors. */
#include "faults.h"

int main(void)
{
    catch_faults();
    char *p = fresh(4 * PAGE);
    memset(p, 'x', 4 * PAGE);
    value("DONTNEED", madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED));
    say("%d %d %d %d", p[PAGE - 1], p[PAGE], p[3 * PAGE - 1], p[3 * PAGE]);
    p[PAGE] = 'y';
    say("writable again %d", p[PAGE]);
    put_text("f", "original");
    int fd = open("f", O_RDWR);
    char *q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    q[0] = 'O';
    value("DONTNEED private file", madvise(q, PAGE, MADV_DONTNEED));
    say("%.8s", q);
    char *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    s[0] = 'S';
    value("DONTNEED shared file", madvise(s, PAGE, MADV_DONTNEED));
    say("%.8s", s);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[0] = 'k';
    value("DONTNEED shared anonymous", madvise(shared, PAGE, MADV_DONTNEED));
    say("%c", shared[0]);
    value("REMOVE shared anonymous", madvise(shared, PAGE, MADV_REMOVE));
    say("%d", shared[0]);
    value("REMOVE private", madvise(p, PAGE, MADV_REMOVE));
    static const struct { const char *name; int advice; } kinds[] = {
        {"NORMAL", MADV_NORMAL}, {"RANDOM", MADV_RANDOM}, {"SEQUENTIAL", MADV_SEQUENTIAL},
        {"WILLNEED", MADV_WILLNEED}, {"HUGEPAGE", MADV_HUGEPAGE}, {"NOHUGEPAGE", MADV_NOHUGEPAGE},
        {"DONTDUMP", MADV_DONTDUMP}, {"DODUMP", MADV_DODUMP}, {"DONTFORK", MADV_DONTFORK},
        {"DOFORK", MADV_DOFORK}, {"COLD", MADV_COLD}, {"PAGEOUT", MADV_PAGEOUT},
        {"POPULATE_READ", MADV_POPULATE_READ}, {"POPULATE_WRITE", MADV_POPULATE_WRITE}};
    memset(p, 'x', 4 * PAGE);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        value(kinds[i].name, madvise(p, 4 * PAGE, kinds[i].advice));
    yes("all content stays", p[0] == 'x' && p[4 * PAGE - 1] == 'x');
    value("FREE", madvise(p, 4 * PAGE, MADV_FREE));
    yes("old or zero", p[0] == 'x' || p[0] == 0);
    p[0] = 'n';
    yes("a write after FREE stays", p[0] == 'n');
    value("FREE of a file", madvise(q, PAGE, MADV_FREE));
    value("unknown", madvise(p, PAGE, 12345));
    value("unaligned", madvise(p + 1, PAGE, MADV_DONTNEED));
    value("no bytes", madvise(p, 0, MADV_DONTNEED));
    value("no bytes, unknown advice", madvise(p, 0, 12345));
    munmap(p + PAGE, PAGE);
    memset(p + 2 * PAGE, 'x', PAGE);
    value("across a hole", madvise(p, 4 * PAGE, MADV_DONTNEED));
    say("behind the hole it is done too: %d", p[2 * PAGE]);
    value("unmapped", madvise(p + PAGE, PAGE, MADV_WILLNEED));
    mprotect(p, PAGE, PROT_NONE);
    value("DONTNEED of PROT_NONE", madvise(p, PAGE, MADV_DONTNEED));
    value("POPULATE_WRITE of PROT_NONE", madvise(p, PAGE, MADV_POPULATE_WRITE));
    unsigned char in[4];
    p = fresh(4 * PAGE);
    p[0] = 1;
    value("mincore", mincore(p, 4 * PAGE, in));
    say("touched is in core %d", in[0] & 1);
    value("mincore unmapped", (munmap(p + PAGE, PAGE), mincore(p, 4 * PAGE, in)));
    value("mincore unaligned", mincore(p + 1, PAGE, in));
    value("msync", msync(s, PAGE, MS_SYNC));
    value("msync ASYNC and SYNC", msync(s, PAGE, MS_SYNC | MS_ASYNC));
    value("msync unknown", msync(s, PAGE, 64));
    value("msync unaligned", msync(s + 1, PAGE, MS_SYNC));
    value("msync unmapped", msync(p + PAGE, PAGE, MS_SYNC));
    value("mlock", mlock(s, PAGE));
    value("munlock", munlock(s, PAGE));
    value("mlock unmapped", mlock(p + PAGE, PAGE));
    unlink("f");
    return 0;
}
