// build: static dynamic
/*
 * A program that makes its own text writable finds there what the linker wrote, whatever ran before;
 * so does the kernel when it is handed the text, and the file it came from is unchanged.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* One page with sites of each shape. */
__asm__(".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "page_start:\n"
        "by_mov: mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        "by_long_mov: .byte 0x48,0xc7,0xc0,110,0,0,0\n syscall\n cmp $-4096, %rax\n ret\n"
        "by_pun: mov %edi, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        "by_trap: mov %edi, %eax\n syscall\n ret\n .byte 0,0,0,0\n"
        " .balign 64\n .fill 60, 1, 0x90\n"
        /* Its mov lies on two lines. */
        "by_split: mov $110, %eax\n syscall\n cmp $-4096, %rax\n ret\n"
        " .balign 4096\n .popsection\n");

extern uint8_t page_start[];
long by_mov(int), by_long_mov(int), by_pun(int), by_trap(int), by_split(int);

static long (*const shapes[])(int) = {by_mov, by_long_mov, by_pun, by_trap, by_split};

static uint64_t sum(const uint8_t *at, size_t len)
{
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        value = (value ^ at[i]) * 1099511628211u;
    return value;
}

static int calls(void)
{
    long parent = getppid();
    int good = 1;
    for (int round = 0; round < 10; round++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            good &= shapes[i](SYS_getppid) == parent;
    return good;
}

static void say(const char *what, int good)
{
    printf("%s: %s\n", what, good ? "yes" : "no");
}

static uint64_t sum_by_write(void)
{
    static uint8_t copy[PAGE];
    int ends[2];
    if (pipe(ends))
        return 0;
    write(ends[1], page_start, PAGE);
    read(ends[0], copy, PAGE);
    close(ends[0]);
    close(ends[1]);
    return sum(copy, PAGE);
}

int main(void)
{
    uint64_t linked = sum(page_start, PAGE);
    say("calls work", calls());
    say("what write() sees is unchanged", sum_by_write() == linked);

    for (int round = 0; round < 3; round++) {
        say("made writable", mprotect(page_start, PAGE, PROT_READ | PROT_WRITE) == 0);
        say("the text is unchanged", sum(page_start, PAGE) == linked);
        page_start[PAGE - 1] ^= 1;
        page_start[PAGE - 1] ^= 1;
        say("made executable", mprotect(page_start, PAGE, PROT_READ | PROT_EXEC) == 0);
        say("calls work", calls());
        say("what write() sees is unchanged", sum_by_write() == linked);
    }

    say("made both", mprotect(page_start, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    say("the text is unchanged", sum(page_start, PAGE) == linked);
    say("calls work", calls());
    say("the text is unchanged", sum(page_start, PAGE) == linked);

    /* A number changed in place: getpid instead of getppid. */
    uint8_t *number = (uint8_t *)by_mov + 1;
    *number = SYS_getpid;
    say("a changed number counts", by_mov(0) == getpid());
    *number = SYS_getppid;
    mprotect(page_start, PAGE, PROT_READ | PROT_EXEC);
    say("and changed back", by_mov(0) == getppid());
    say("calls work", calls());

    /* read() into text that is writable. */
    static uint8_t copy[PAGE];
    mprotect(page_start, PAGE, PROT_READ | PROT_WRITE);
    memcpy(copy, page_start, PAGE);
    copy[1] = SYS_getpid;
    int ends[2];
    if (pipe(ends))
        return 1;
    write(ends[1], copy, PAGE);
    read(ends[0], page_start, PAGE);
    mprotect(page_start, PAGE, PROT_READ | PROT_EXEC);
    say("a number that was read in counts", by_mov(0) == getpid() && by_mov(0) == getpid());
    return 0;
}
