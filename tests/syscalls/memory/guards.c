// build: static musl
/* MADV_GUARD_INSTALL and MADV_GUARD_REMOVE: who sees a guard, what it outlives, and where it may be. */
#include "faults.h"
#include <sys/uio.h>

#define RW (PROT_READ | PROT_WRITE)
#define INSTALL 102
#define REMOVE 103

static int mappings(const char *p, size_t bytes)
{
    static char maps[1 << 16];
    unsigned long start, end;
    int count = 0;
    slurp("/proc/self/maps", maps, sizeof maps);
    for (char *line = strtok(maps, "\n"); line; line = strtok(NULL, "\n"))
        count += sscanf(line, "%lx-%lx", &start, &end) == 2 && start < (uintptr_t)p + bytes && end > (uintptr_t)p;
    return count;
}

static void seen_by_calls(void)
{
    char *p = fresh(4 * PAGE), c[8];
    int pair[2], mem = open("/proc/self/mem", O_RDWR);
    pipe(pair);
    p[PAGE - 1] = 'x';
    madvise(p + PAGE, PAGE, INSTALL);
    value("write", write(pair[1], p + PAGE, 4));
    value("read", (write(pair[1], "abcd", 4), read(pair[0], p + PAGE, 4)));
    value("/proc/self/mem read", pread(mem, c, 1, (uintptr_t)p + PAGE));
    value("/proc/self/mem written", pwrite(mem, "z", 1, (uintptr_t)p + PAGE));
    value("/proc/self/mem read across", pread(mem, c, 4, (uintptr_t)p + PAGE - 2));
    value("a futex's wait", syscall(SYS_futex, p + PAGE, 128, 1, 0, 0, 0));
    value("a shared futex's wait", syscall(SYS_futex, p + PAGE, 0, 1, 0, 0, 0));
    value("a shared futex's wake", syscall(SYS_futex, p + PAGE, 1, 1, 0, 0, 0));
    unsigned char in[4];
    value("mincore", mincore(p, 2 * PAGE, in));
    say("in core: %d", in[1] & 1);
    value("POPULATE_READ", madvise(p, 2 * PAGE, 22));
    value("POPULATE_WRITE", madvise(p, 2 * PAGE, 23));
    value("WILLNEED", madvise(p, 2 * PAGE, MADV_WILLNEED));
    value("mlock", mlock(p, 2 * PAGE));
    value("install in locked memory", madvise(p, PAGE, INSTALL));
    value("DONTNEED_LOCKED", madvise(p, 2 * PAGE, 24));
    say("%d, %s", p[PAGE - 1], reads(p + PAGE));
    value("remove from locked memory", madvise(p, 2 * PAGE, REMOVE));
    say("%s", reads(p + PAGE));
    value("mlockall", (madvise(p + 3 * PAGE, PAGE, INSTALL), mlockall(MCL_CURRENT)));
    munlockall();
    struct iovec parts[] = {{p, PAGE}, {p + 2 * PAGE, PAGE}};
    value("process_madvise", syscall(SYS_process_madvise, -10000 /* itself */, parts, 2, INSTALL, 0));
    say("%s, %s, %s", reads(p), reads(p + PAGE), reads(p + 2 * PAGE));
    close(pair[0]), close(pair[1]), close(mem);
}

static void in_files(void)
{
    int fd = memfd_create("m", 0);
    ftruncate(fd, 4 * PAGE);
    pwrite(fd, "file", 4, 0);
    char *s = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    s[0] = 'F';
    value("in a file", madvise(s, 2 * PAGE, INSTALL));
    say("%s, %s", reads(s), reads(s + 2 * PAGE));
    value("removed", madvise(s, PAGE, REMOVE));
    say("%.4s", s);
    ftruncate(fd, 0);
    say("the file is cut off: %s, %s", reads(s), reads(s + PAGE));
    ftruncate(fd, 4 * PAGE);
    say("and grows: %s, %s", reads(s), reads(s + PAGE));
    value("msync", msync(s, 4 * PAGE, MS_SYNC));
    value("MADV_REMOVE", madvise(s, 4 * PAGE, MADV_REMOVE));
    value("MADV_DONTNEED", madvise(s, 4 * PAGE, MADV_DONTNEED));
    say("%s, %s", reads(s), reads(s + PAGE));
    ftruncate(fd, 2 * PAGE);
    value("behind the end of the file", madvise(s + 3 * PAGE, PAGE, INSTALL));
    say("%s, %s", reads(s + 2 * PAGE), reads(s + 3 * PAGE));
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    p[0] = 'p';
    value("in a private file", madvise(p, PAGE, INSTALL));
    say("%s, %s", reads(p), reads(p + PAGE));
    value("removed", madvise(p, PAGE, REMOVE));
    say("the file again: %d", p[0]);
    p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    p[0] = 'a';
    value("in shared memory", madvise(p, PAGE, INSTALL));
    char *twin = mremap(p, 0, PAGE, MREMAP_MAYMOVE);
    say("%s, elsewhere %c", reads(p), twin[0]);
    p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    value("in a file that is only read", madvise(p, PAGE, INSTALL));
    say("%s", reads(p));
    close(fd);
}

int main(void)
{
    catch_faults();
    char *p = fresh(64 * PAGE), *to = p + 32 * PAGE;
    munmap(p + 16 * PAGE, 48 * PAGE);
    memset(p, 'x', 16 * PAGE);
    value("install", madvise(p + PAGE, 2 * PAGE, INSTALL));
    say("%s, %s, %s, %s", reads(p), reads(p + PAGE), writes(p + 2 * PAGE + 5), reads(p + 3 * PAGE));
    say("%d mapping, %s", mappings(p, 16 * PAGE), vm_flags(p));
    value("again", madvise(p + PAGE, 2 * PAGE, INSTALL));
    value("DONTNEED", madvise(p, 4 * PAGE, MADV_DONTNEED));
    say("leaves it: %s, %s, %d", reads(p + PAGE), reads(p + 2 * PAGE), p[3 * PAGE]);
    value("FREE", madvise(p, 4 * PAGE, MADV_FREE));
    say("leaves it: %s", reads(p + PAGE));
    mprotect(p, 4 * PAGE, PROT_NONE);
    say("PROT_NONE: %s, %s", reads(p), reads(p + PAGE));
    mprotect(p, 4 * PAGE, PROT_READ);
    say("PROT_READ: %s, %s, %s", writes(p), writes(p + PAGE), reads(p + PAGE));
    mprotect(p, 4 * PAGE, RW);
    say("writable: %s, %s", writes(p), writes(p + PAGE));
    char *q = mapped("mremap", mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    say("takes it along: %s, %s, %s", reads(q), reads(q + PAGE), reads(q + 3 * PAGE));
    q = mapped("mremap longer", mremap(q, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE));
    say("%s, %s, %s", reads(q + 2 * PAGE), reads(q + 3 * PAGE), reads(q + 5 * PAGE));
    char *r = mapped("mremap DONTUNMAP", mremap(q, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | 4, 0));
    say("takes it along: %s, left %s", reads(r + PAGE), reads(q + PAGE));
    value("remove", madvise(r, 8 * PAGE, REMOVE));
    say("%s, %d", reads(r + PAGE), r[PAGE]);
    value("remove none", madvise(r, 8 * PAGE, REMOVE));

    madvise(r, 4 * PAGE, INSTALL);
    mmap(r + PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    say("replaced: %s", writes(r + PAGE));
    munmap(r + 2 * PAGE, PAGE);
    mmap(r + 2 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    say("unmapped: %s", writes(r + 2 * PAGE));
    munmap(r + 2 * PAGE, PAGE);
    value("over a hole", madvise(r + PAGE, 4 * PAGE, INSTALL));
    say("%s, %s, %s", reads(r + PAGE), reads(r + 3 * PAGE), reads(r + 4 * PAGE));
    value("remove over a hole", madvise(r + PAGE, 4 * PAGE, REMOVE));
    say("%s, %s, %s", reads(r + PAGE), reads(r + 3 * PAGE), reads(r + 4 * PAGE));
    value("unaligned", madvise(r + 1, PAGE, INSTALL));
    value("no bytes", madvise(r, 0, INSTALL));
    value("a page and a byte", madvise(r + 3 * PAGE, PAGE + 1, INSTALL));
    say("%s", reads(r + 4 * PAGE));

    p = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    value("in PROT_NONE", madvise(p, PAGE, INSTALL));
    say("%s", reads(p));
    mprotect(p, 4 * PAGE, RW);
    say("made writable: %s, %s", writes(p), writes(p + PAGE));
    /* Memory that is charged as it is used, so much that DONTNEED gives it back. */
    size_t many = 1 << 20;
    p = mmap(NULL, many, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    memset(p, 'l', many);
    value("in NORESERVE", madvise(p + PAGE, PAGE, INSTALL));
    value("DONTNEED", madvise(p, many, MADV_DONTNEED));
    say("%d, %s, %d", p[0], reads(p + PAGE), p[2 * PAGE]);
    value("install over all", madvise(p, many, INSTALL));
    value("remove", madvise(p, many, REMOVE));
    memset(p, 'l', many);
    munmap(p, many);

    char *heap = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & -PAGE);
    syscall(SYS_brk, heap + 4 * PAGE);
    memset(heap, 'h', 4 * PAGE);
    value("in the heap", madvise(heap, 2 * PAGE, INSTALL));
    say("%s, %s", reads(heap), reads(heap + 2 * PAGE));
    syscall(SYS_brk, heap);
    syscall(SYS_brk, heap + 4 * PAGE);
    say("the break went below: %s, %d", writes(heap), heap[PAGE]);
    seen_by_calls();
    in_files();
    return 0;
}
