// build: static musl
/* mseal: what sealed memory refuses, what it still admits, and how far a call comes before it. */
#include "faults.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define RW (PROT_READ | PROT_WRITE)
#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)

static long seal(const void *p, size_t bytes, unsigned long flags)
{
    return syscall(SYS_mseal, p, bytes, flags);
}

static const struct { const char *name; int advice; } advices[] = {
    {"NORMAL", 0}, {"WILLNEED", 3}, {"DONTNEED", 4}, {"FREE", 8}, {"REMOVE", 9}, {"DONTFORK", 10}, {"DOFORK", 11},
    {"DONTDUMP", 16}, {"DODUMP", 17}, {"WIPEONFORK", 18}, {"KEEPONFORK", 19}, {"COLD", 20}, {"POPULATE_READ", 22},
    {"POPULATE_WRITE", 23}, {"DONTNEED_LOCKED", 24}, {"GUARD_INSTALL", 102}, {"GUARD_REMOVE", 103}};

static void advise(const char *what, char *p)
{
    say("%s: sealed %s, %s", what, seal(p, PAGE, 0) ? errno_name(errno) : "ok", vm_flags(p));
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        value(advices[i].name, madvise(p, PAGE, advices[i].advice));
}

int main(void)
{
    catch_faults();
    char *p = fresh(32 * PAGE);
    munmap(p + 16 * PAGE, 16 * PAGE);
    value("a flag", seal(p, PAGE, 1));
    value("unaligned", seal(p + 1, PAGE, 0));
    value("no bytes", seal(p, 0, 0));
    value("no bytes where nothing is", seal(p + 16 * PAGE, 0, 0));
    value("a length that overflows", seal(p, -1UL, 0));
    value("a range that overflows", seal(p, -PAGE, 0));
    munmap(p + 8 * PAGE, PAGE);
    value("over a hole", seal(p, 16 * PAGE, 0));
    value("seals nothing", mprotect(p, PAGE, PROT_READ));
    value("a hole", seal(p + 8 * PAGE, PAGE, 0));
    mprotect(p, PAGE, RW);
    p[PAGE] = 's';
    value("two pages", seal(p + PAGE, PAGE + 1, 0));
    value("again", seal(p + PAGE, 2 * PAGE, 0));
    say("%s", vm_flags(p + PAGE));

    value("munmap", munmap(p + PAGE, PAGE));
    value("munmap of more", munmap(p, 4 * PAGE));
    say("unmaps nothing: %s", reads(p));
    value("mprotect", mprotect(p + PAGE, PAGE, PROT_READ));
    value("mprotect as it is", mprotect(p + PAGE, PAGE, RW));
    value("pkey_mprotect", syscall(SYS_pkey_mprotect, p + PAGE, PAGE, RW, -1));
    value("mprotect of more", mprotect(p, 4 * PAGE, PROT_READ));
    say("protects what lies before: %s, %s, %s", writes(p), writes(p + PAGE), writes(p + 3 * PAGE));
    mprotect(p, PAGE, RW);
    mapped("mremap longer", mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    mapped("mremap shorter", mremap(p + PAGE, 2 * PAGE, PAGE, MREMAP_MAYMOVE));
    mapped("mremap as it is", mremap(p + PAGE, 2 * PAGE, 2 * PAGE, 0));
    mapped("mremap of no old bytes", mremap(p + PAGE, 0, PAGE, MREMAP_MAYMOVE));
    mapped("mremap DONTUNMAP", mremap(p + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | 4, 0));
    mapped("mremap as it is, from before", mremap(p, 2 * PAGE, 2 * PAGE, 0));
    mapped("mremap that cuts it off", mremap(p, 3 * PAGE, PAGE, 0));
    mapped("mremap from it", mremap(p + PAGE, PAGE, PAGE, FIXED, p + 10 * PAGE));
    mapped("mremap onto it", mremap(p + 12 * PAGE, PAGE, PAGE, FIXED, p + PAGE));
    say("takes nothing away: %s", reads(p + 12 * PAGE));
    mapped("mremap of more", mremap(p, 4 * PAGE, 4 * PAGE, FIXED, p + 20 * PAGE));
    say("moves what lies before: %s, %s, %s", reads(p), reads(p + 20 * PAGE), reads(p + 3 * PAGE));
    mapped("mmap FIXED", mmap(p + PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    mapped("mmap FIXED of more", mmap(p, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    mapped("mmap FIXED_NOREPLACE",
           mmap(p, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    say("still there: %c, and may be written: %s", p[PAGE], writes(p + PAGE));
    value("mlock", mlock(p + PAGE, PAGE));
    value("DONTNEED of locked", madvise(p + PAGE, PAGE, MADV_DONTNEED));
    value("munlock", munlock(p + PAGE, PAGE));

    advise("writable", fresh(PAGE));
    char *q = fresh(PAGE);
    q[0] = 'q';
    mprotect(q, PAGE, PROT_READ);
    advise("read-only", q);
    say("it keeps its contents: %c", q[0]);
    advise("PROT_NONE", mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int fd = memfd_create("m", 0);
    ftruncate(fd, PAGE);
    advise("a file", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    advise("a private file", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    advise("shared memory", mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    q = fresh(3 * PAGE);
    memset(q, 'q', 3 * PAGE);
    mprotect(q + PAGE, PAGE, PROT_READ);
    seal(q + PAGE, PAGE, 0);
    value("DONTNEED of more", madvise(q, 3 * PAGE, MADV_DONTNEED));
    say("drops what lies before: %d %d %d", q[0], q[PAGE], q[2 * PAGE]);

    q = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    seal(q, PAGE, 0);
    value("remap_file_pages", remap_file_pages(q, PAGE, 0, 0, 0));
    char *end = (char *)syscall(SYS_brk, 0), *heap = (char *)(((uintptr_t)end + PAGE - 1) & -PAGE);
    syscall(SYS_brk, heap + 2 * PAGE);
    value("the heap", seal(heap, PAGE, 0));
    yes("the break does not go below", (char *)syscall(SYS_brk, heap) == heap + 2 * PAGE);
    yes("but up", (char *)syscall(SYS_brk, heap + 3 * PAGE) == heap + 3 * PAGE);
    return 0;
}
