// build: static dynamic
/*
 * Code that is written at run time and makes system calls: in memory that is writable and executable,
 * in memory that changes between the two, in private and shared mappings of a file; and code at an
 * address where other code was.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* mov $nr,%eax; syscall; cmp $-4096,%rax; ret */
static void emit(uint8_t *at, uint32_t nr)
{
    static const uint8_t code[] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3};
    memcpy(at, code, sizeof code);
    memcpy(at + 1, &nr, 4);
}

/* mov %edi,%eax; syscall; cmp $-4096,%rax; ret */
static void emit_bare(uint8_t *at)
{
    static const uint8_t code[] = {0x89, 0xf8, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3};
    memcpy(at, code, sizeof code);
}

static long run(uint8_t *at, int nr)
{
    return ((long (*)(int))at)(nr);
}

static int five_times(uint8_t *at, int nr, long want)
{
    int good = 1;
    for (int i = 0; i < 5; i++)
        good &= run(at, nr) == want;
    return good;
}

static void say(const char *what, int good)
{
    printf("%s: %s\n", what, good ? "right" : "wrong");
}

static int matches(const uint8_t *at, uint32_t nr)
{
    uint8_t want[16];
    emit(want, nr);
    return memcmp(at, want, 14) == 0;
}

/* Rewrites with mprotect between, as careful JITs do. */
static int careful(uint8_t *at)
{
    int good = 1;
    for (int round = 0; round < 5; round++) {
        mprotect(at, PAGE, PROT_READ | PROT_WRITE);
        if (round)
            good &= matches(at, round % 2 ? SYS_getpid : SYS_getppid);
        emit(at, round % 2 ? SYS_getppid : SYS_getpid);
        mprotect(at, PAGE, PROT_READ | PROT_EXEC);
        good &= five_times(at, 0, round % 2 ? getppid() : getpid());
    }
    return good;
}

int main(void)
{
    long pid = getpid(), parent = getppid();
    uint8_t *both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int good = 1;
    for (int round = 0; round < 5; round++) {
        emit(both, SYS_getpid);
        good &= five_times(both, 0, pid);
        emit(both, SYS_getppid);
        good &= five_times(both, 0, parent);
        good &= matches(both, SYS_getppid);
        emit_bare(both);
        good &= five_times(both, SYS_getpid, pid) && five_times(both, SYS_sched_yield, 0);
    }
    say("writable and executable", good);

    uint8_t *anonymous = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("first one, then the other", careful(anonymous));

    char name[] = "/tmp/jitXXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    uint8_t page[PAGE];
    memset(page, 0x90, sizeof page);
    emit(page, SYS_getpid);
    write(fd, page, sizeof page);
    uint8_t *private = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    say("private mapping of a file", five_times(private, 0, pid));
    uint8_t back[PAGE];
    pread(fd, back, sizeof back, 0);
    say("the file is what was written", memcmp(back, page, sizeof page) == 0);
    say("changed in its private mapping", careful(private));
    pread(fd, back, sizeof back, 0);
    say("the file still is", memcmp(back, page, sizeof page) == 0);

    uint8_t *shared = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    say("shared mapping of a file", five_times(shared, 0, pid));
    emit(page, SYS_getppid);
    pwrite(fd, page, sizeof page, 0);
    say("changed through the file", five_times(shared, 0, parent));

    uint8_t *again = mmap(private, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
    say("another mapping in its place", again == private && five_times(again, 0, parent));
    munmap(again, PAGE);
    again = mmap(again, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    emit_bare(again);
    say("and after unmapping it", five_times(again, SYS_getpid, pid));

    /* A page moved to another address takes its call sites along. */
    uint8_t *text = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    good = five_times(text, 0, parent);
    uint8_t *room = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *moved = mremap(text, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    say("moved", good && moved == room && five_times(moved, 0, parent));

    /* So does one that the program changed before it ran. */
    text = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    emit(text, SYS_getpid);
    mprotect(text, PAGE, PROT_READ | PROT_EXEC);
    good = five_times(text, 0, pid);
    room = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    moved = mremap(text, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    say("changed, then moved", good && moved == room && matches(moved, SYS_getpid) && five_times(moved, 0, pid));
    pwrite(fd, page, sizeof page, 0);
    ftruncate(fd, 2 * PAGE);
    say("it stays when the file changes", five_times(moved, 0, pid));
    mprotect(moved, PAGE, PROT_READ | PROT_WRITE);
    emit(moved, SYS_getppid);
    mprotect(moved, PAGE, PROT_READ | PROT_EXEC);
    say("changed once more", matches(moved, SYS_getppid) && five_times(moved, 0, parent));
    madvise(moved, PAGE, MADV_DONTNEED);
    say("dropped: the file's", matches(moved, SYS_getppid) && five_times(moved, 0, parent));
    return 0;
}
