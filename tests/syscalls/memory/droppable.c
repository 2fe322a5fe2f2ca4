// build: static musl
/* MAP_DROPPABLE: what it goes with, and what advice and locks make of it. */
#include "faults.h"

#define RW (PROT_READ | PROT_WRITE)
#define DROPPABLE 8

int main(void)
{
    catch_faults();
    char *p = mapped("plain", mmap(NULL, 4 * PAGE, RW, DROPPABLE | MAP_ANONYMOUS, -1, 0));
    say("%s", vm_flags(p));
    p[0] = 'd';
    say("%c %d", p[0], p[PAGE]);
    static const struct { const char *name; int flags; } others[] = {
        {"LOCKED", MAP_LOCKED}, {"GROWSDOWN", MAP_GROWSDOWN}, {"HUGETLB", MAP_HUGETLB}, {"NORESERVE", MAP_NORESERVE},
        {"POPULATE", MAP_POPULATE}, {"STACK", MAP_STACK}, {"32BIT", MAP_32BIT}, {"SHARED", MAP_SHARED},
        {"PRIVATE", MAP_PRIVATE}, {"SHARED_VALIDATE", 3}, {"4", 4}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        munmap(mapped(others[i].name, mmap(NULL, PAGE, RW, DROPPABLE | MAP_ANONYMOUS | others[i].flags, -1, 0)), PAGE);
    int fd = memfd_create("m", 0);
    ftruncate(fd, PAGE);
    mapped("a file", mmap(NULL, PAGE, RW, DROPPABLE, fd, 0));
    mapped("/dev/zero", mmap(NULL, PAGE, RW, DROPPABLE, open("/dev/zero", O_RDWR), 0));
    mapped("a directory", mmap(NULL, PAGE, PROT_READ, DROPPABLE, open("/", O_RDONLY), 0));
    mapped("no descriptor", mmap(NULL, PAGE, RW, DROPPABLE, 999, 0));
    munmap(mapped("ANONYMOUS with a descriptor", mmap(NULL, PAGE, RW, DROPPABLE | MAP_ANONYMOUS, fd, 0)), PAGE);
    static const struct { const char *name; int advice; } advices[] = {
        {"DONTNEED", 4}, {"FREE", 8}, {"REMOVE", 9}, {"DONTFORK", 10}, {"DOFORK", 11}, {"DONTDUMP", 16},
        {"DODUMP", 17}, {"WIPEONFORK", 18}, {"KEEPONFORK", 19}, {"POPULATE_WRITE", 23}};
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        value(advices[i].name, madvise(p, PAGE, advices[i].advice));
    value("mlock", mlock(p, PAGE));
    value("mlock2", syscall(SYS_mlock2, p, PAGE, 1));
    say("%s", vm_flags(p));
    value("mlockall", mlockall(MCL_CURRENT));
    say("%s", vm_flags(p));
    munlockall();
    value("mlockall for the future", mlockall(MCL_FUTURE));
    char *q = mapped("after that", mmap(NULL, PAGE, RW, DROPPABLE | MAP_ANONYMOUS, -1, 0));
    munlockall();
    say("%s", vm_flags(q));
    p[PAGE] = 'm';
    q = mapped("mremap", mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    say("%c %d, %s", q[0], q[PAGE], vm_flags(q));
    value("mprotect", mprotect(q, PAGE, PROT_READ));
    say("%s", vm_flags(q));
    return 0;
}
