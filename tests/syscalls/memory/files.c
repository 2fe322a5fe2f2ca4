/* File mappings: private and shared, coherent with read and write, the end of the file, truncation. */
#include "faults.h"

#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
    catch_faults();
    char buffer[16] = {0};
    put_text("f", "0123456789");
    int fd = open("f", O_RDWR);
    char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0), *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    say("shared %.10s private %.10s", s, p);
    yes("the rest of the page is zero", s[10] == 0 && s[PAGE - 1] == 0);
    say("behind the last page %s", reads(s + PAGE));
    pwrite(fd, "AB", 2, 0);
    say("after write: shared %.10s", s);
    s[2] = 'C';
    pread(fd, buffer, 10, 0);
    say("after a store: read %s", buffer);
    say("private untouched sees it: %.10s", p);
    p[5] = 'p';
    pwrite(fd, "zz", 2, 8);
    say("private touched does not: %.10s", p);
    pread(fd, buffer, 10, 0);
    say("file %s", buffer);
    s[20] = 'x';
    struct stat st;
    fstat(fd, &st);
    say("a store behind the end does not lengthen: %ld", (long)st.st_size);
    int other = open("f", O_RDWR);
    char *t = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other, 0);
    s[0] = '*';
    say("another open, another mapping: %.10s", t);
    close(fd);
    close(other);
    s[1] = '+';
    say("lives on after close: %.3s", t);
    fd = open("f", O_RDWR);
    ftruncate(fd, PAGE + 5);
    say("longer: %s %s", reads(s + PAGE), writes(s + PAGE + 4));
    ftruncate(fd, 4);
    say("shorter: %s, and the private copy %s", reads(s + PAGE), reads(p + PAGE));
    say("private touched page keeps: %c", p[5]);
    unlink("f");
    say("unlinked: %.3s", t);
    mapped("offset beyond the end", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 16 * PAGE));
    mapped("odd offset", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100));
    mapped("negative offset", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE));
    int d = open(".", O_RDONLY), path = open("/proc/self/exe", O_PATH), pipes[2];
    pipe(pipes);
    mapped("a directory", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, d, 0));
    mapped("O_PATH", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, path, 0));
    mapped("a pipe", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0));

    int exe = open("/proc/self/exe", O_RDONLY);
    char *text = mapped("a program's text", mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, exe, 0));
    say("%.3s", text + 1);
    int big = open("big", O_RDWR | O_CREAT, 0600);
    ftruncate(big, 64 << 20);
    char *b = mmap(NULL, 64 << 20, RW, MAP_SHARED, big, 0);
    for (long i = 0; i < 64; i++)
        b[i << 20] = (char)(i + 1);
    int same = 1;
    for (long i = 0; i < 64; i++) {
        pread(big, buffer, 1, i << 20);
        same &= buffer[0] == (char)(i + 1);
    }
    yes("64 MiB stored by mapping, read by pread", same);
    char *off = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, big, 32 << 20);
    say("mapped at an offset %d", off[0]);
    value("read into a mapping of the same file", pread(big, b, 4096, 63 << 20));
    say("%d", b[0]);
    value("write from a mapping of the same file", pwrite(big, b + (1 << 20), 1, 0));
    say("%d", b[0]);
    unlink("big");
    return 0;
}
