// build: static dynamic
/*
 * Text seen and changed through /proc/self/mem: reads show what the linker wrote, whatever ran before; a
 * write into text that is executable and read-only takes effect at once, at sites that were rewritten too.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };

__asm__(".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "page_start:\n"
        "by_mov: mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        "by_pun: mov %edi, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        " .balign 64\n .fill 60, 1, 0x90\n"
        "by_split: mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        " .balign 4096\n"
        /* One whose mov lies on two pages. */
        " .fill 4093, 1, 0x90\n"
        "by_two: mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        " .balign 4096\n .popsection\n");

extern uint8_t page_start[];
long by_mov(int), by_pun(int), by_split(int), by_two(int);
static long (*const shapes[])(int) = {by_mov, by_pun, by_split, by_two};
enum { ALL = 3 * PAGE };
static uint8_t linked[ALL], copy[ALL];
static int mem;

static void say(const char *what, int good)
{
    printf("%s: %s\n", what, good ? "yes" : "no");
}

static int calls(long want, int nr)
{
    int good = 1;
    for (int round = 0; round < 10; round++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            good &= shapes[i](nr) == want;
    return good;
}

static int same(void)
{
    return memcmp(copy, linked, ALL) == 0;
}

/* Every way in which a kernel reads what a program names. */
static void every_way(void)
{
    int ends[2];
    memset(copy, 0, ALL);
    pipe(ends);
    write(ends[1], page_start, ALL);
    read(ends[0], copy, ALL);
    say("write to a pipe", same());
    memset(copy, 0, ALL);
    struct iovec parts[] = {{page_start, 3}, {page_start + 3, PAGE}, {page_start + 3 + PAGE, ALL - PAGE - 3}};
    writev(ends[1], parts, 3);
    read(ends[0], copy, ALL);
    say("writev", same());
    close(ends[0]);
    close(ends[1]);

    int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    pwrite(file, page_start, ALL, 0);
    memset(copy, 0, ALL);
    pread(file, copy, ALL, 0);
    say("write to a file", same());
    memset(copy, 0, ALL);
    int good = 1;
    for (int i = 0; i < ALL; i += 5) {
        int len = ALL - i < 5 ? ALL - i : 5;
        good &= pwrite(file, page_start + i, len, 1) == len && pread(file, copy + i, len, 1) == len;
    }
    say("in pieces", good && same());
    close(file);

    memset(copy, 0, ALL);
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    send(ends[0], page_start, ALL, 0);
    recv(ends[1], copy, ALL, MSG_WAITALL);
    say("send", same());
    close(ends[0]);
    close(ends[1]);

    memset(copy, 0, ALL);
    pread(mem, copy, ALL, (off_t)(uintptr_t)page_start);
    say("/proc/self/mem", same());
}

static int put(const void *address, uint8_t byte)
{
    return pwrite(mem, &byte, 1, (off_t)(uintptr_t)address) == 1;
}

static volatile int stop;
static long wrong, reads_wrong;

static void *keep_calling(void *unused)
{
    (void)unused;
    long pid = getpid(), parent = getppid();
    while (!stop) {
        long got = by_mov(0);
        wrong += got != pid && got != parent;
    }
    return NULL;
}

int main(void)
{
    long pid = getpid(), parent = getppid();
    mem = open("/proc/self/mem", O_RDWR);
    memcpy(linked, page_start, ALL);
    say("calls work", calls(parent, SYS_getppid));
    every_way();

    /* Another number at each site whose number is part of the text. */
    say("written", put((uint8_t *)by_mov + 1, SYS_getpid) && put((uint8_t *)by_split + 1, SYS_getpid) &&
                       put((uint8_t *)by_two + 1, SYS_getpid));
    say("calls follow", calls(pid, SYS_getpid));
    pread(mem, copy, ALL, (off_t)(uintptr_t)page_start);
    say("and only they", copy[1] == SYS_getpid && !same());
    say("written back", pwrite(mem, linked, ALL, (off_t)(uintptr_t)page_start) == ALL);
    say("calls work", calls(parent, SYS_getppid));
    every_way();
    volatile uint8_t *text = page_start;
    (void)text;
    say("a neighbour's byte", put(page_start + PAGE - 1, 0x90));
    say("calls work", calls(parent, SYS_getppid));

    /* Changed under a thread that runs it. */
    pthread_t thread;
    pthread_create(&thread, NULL, keep_calling, NULL);
    for (int i = 0; i < 2000; i++) {
        uint8_t seen = 0;
        put((uint8_t *)by_mov + 1, i % 2 ? SYS_getppid : SYS_getpid);
        reads_wrong += by_mov(0) != (i % 2 ? parent : pid);
        pread(mem, &seen, 1, (off_t)(uintptr_t)by_mov);
        reads_wrong += seen != 0xb8;
    }
    stop = 1;
    pthread_join(thread, NULL);
    printf("%ld calls wrong, %ld reads wrong\n", wrong, reads_wrong);

    /* What was written stays through a change of access, and goes when it is dropped. */
    put((uint8_t *)by_mov + 1, SYS_getpid);
    say("calls follow", by_mov(0) == pid && by_mov(0) == pid && by_mov(0) == pid);
    mprotect(page_start, PAGE, PROT_READ | PROT_WRITE);
    say("it stays", page_start[1] == SYS_getpid);
    mprotect(page_start, PAGE, PROT_READ | PROT_EXEC);
    say("calls follow", by_mov(0) == pid && by_mov(0) == pid && by_mov(0) == pid);
    madvise(page_start, PAGE, MADV_DONTNEED);
    say("dropped", by_mov(0) == parent && by_mov(0) == parent);
    return 0;
}
