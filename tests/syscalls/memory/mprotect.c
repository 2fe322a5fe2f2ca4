// build: static musl
/* mprotect: split and merge, each protection by touch, errors. */
#include "faults.h"

int main(void)
{
    catch_faults();
    char *p = fresh(8 * PAGE);
    memset(p, 0xc3, 8 * PAGE); /* ret */
    value("read-only", mprotect(p + PAGE, PAGE, PROT_READ));
    say("before %s, in %s %s, behind %s", writes(p), reads(p + PAGE), writes(p + PAGE), writes(p + 2 * PAGE));
    value("none", mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
    say("%s %s", reads(p + 2 * PAGE), writes(p + 2 * PAGE + 77));
    value("execute", mprotect(p + 3 * PAGE, PAGE, PROT_READ | PROT_EXEC));
    say("runs %s, writes %s", runs(p + 3 * PAGE), writes(p + 3 * PAGE));
    say("not executable %s", runs(p + 4 * PAGE));
    value("write alone", mprotect(p + 5 * PAGE, PAGE, PROT_WRITE));
    say("writes %s, reads %s", writes(p + 5 * PAGE), reads(p + 5 * PAGE));
    value("across all", mprotect(p, 8 * PAGE, PROT_READ | PROT_WRITE));
    yes("content is kept", (p[PAGE] & 0xff) == 0xc3 && (p[2 * PAGE + 5] & 0xff) == 0xc3);
    say("writes %s %s %s", writes(p + PAGE), writes(p + 2 * PAGE), writes(p + 3 * PAGE));
    munmap(p + 4 * PAGE, PAGE);
    value("across a hole", mprotect(p, 8 * PAGE, PROT_READ));
    say("before the hole %s, in it %s, behind it %s", writes(p + 3 * PAGE), reads(p + 4 * PAGE), writes(p + 5 * PAGE));
    value("unmapped", mprotect(p + 4 * PAGE, PAGE, PROT_READ));
    value("unaligned", mprotect(p + 1, PAGE, PROT_READ));
    value("no bytes", mprotect(p, 0, PROT_READ));
    value("one byte is a page", mprotect(p, 1, PROT_READ | PROT_WRITE));
    say("%s %s", writes(p + PAGE - 1), writes(p + PAGE));
    value("unknown bits", mprotect(p, PAGE, 0x1000));
    value("GROWSDOWN on an ordinary one", mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN));
    value("GROWSDOWN and GROWSUP", mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
    value("kernel's half", mprotect((void *)0xffff800000000000, PAGE, PROT_READ));
    value("beyond the space", mprotect(p, 1UL << 60, PROT_READ));

    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, PAGE);
    int ro = open("f", O_RDONLY);
    char *s = mapped("shared of a read-only file", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
    value("made writable", mprotect(s, PAGE, PROT_READ | PROT_WRITE));
    char *q = mapped("private of a read-only file", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0));
    value("made writable", mprotect(q, PAGE, PROT_READ | PROT_WRITE));
    say("%s", writes(q));
    int wo = open("f", O_WRONLY);
    mapped("a write-only file", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0));
    mapped("a write-only file, shared", mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0));
    mapped("shared writable of a read-only file", mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, ro, 0));
    say("NULL %s, low %s, kernel %s", reads(NULL), reads((char *)8), reads((char *)0xffff800000000000));
    say("hole in the address space %s", reads((char *)0x0000800000000000));
    unlink("f");
    return 0;
}
