// build: static
/* read, write, pread, pwrite, readv, writev, preadv2: offsets, short counts, holes and bad arguments. */
#include "observe.h"
#include <limits.h>
#include <sys/uio.h>

static void show(int fd)
{
    char buffer[128];
    ssize_t n = pread(fd, buffer, sizeof buffer, 0);
    printf("content %zd:", n);
    for (ssize_t i = 0; i < n; i++)
        printf(buffer[i] ? " %c" : " .", buffer[i]);
    say(" ");
}

int main(void)
{
    char buffer[64];
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    value("read empty", read(fd, buffer, 10));
    value("write", write(fd, "abcdefghij", 10));
    value("offset", lseek(fd, 0, SEEK_CUR));
    value("read at the end", read(fd, buffer, 10));
    value("pread", pread(fd, buffer, 4, 3));
    say("%.4s", buffer);
    value("offset is unmoved", lseek(fd, 0, SEEK_CUR));
    value("pread across the end", pread(fd, buffer, 20, 8));
    value("pread behind the end", pread(fd, buffer, 20, 80));
    value("pread negative", pread(fd, buffer, 20, -1));
    value("pwrite negative", pwrite(fd, buffer, 20, -1));
    value("pwrite", pwrite(fd, "XY", 2, 4));
    value("pwrite behind the end", pwrite(fd, "Z", 1, 20));
    show(fd);
    value("read 0 bytes", read(fd, buffer, 0));
    value("read 0 bytes to NULL", read(fd, NULL, 0));
    value("write 0 bytes", write(fd, buffer, 0));
    value("read to NULL", read(fd, NULL, 5));
    value("write from NULL", write(fd, NULL, 5));

    lseek(fd, 0, SEEK_SET);
    char one[3], two[4], three[5];
    struct iovec in[] = {{one, 3}, {NULL, 0}, {two, 4}, {three, 5}};
    value("readv", readv(fd, in, 4));
    say("%.3s|%.4s|%c", one, two, three[0]);
    value("offset", lseek(fd, 0, SEEK_CUR));
    struct iovec out[] = {{"12", 2}, {"", 0}, {"345", 3}};
    value("writev", writev(fd, out, 3));
    show(fd);
    value("readv no vectors", readv(fd, in, 0));
    value("readv -1 vectors", readv(fd, in, -1));
    value("readv 1025 vectors", readv(fd, in, 1025));
    value("readv bad vector", readv(fd, (void *)8, 1));
    struct iovec huge[] = {{one, SSIZE_MAX}, {two, SSIZE_MAX}};
    value("readv too many bytes", readv(fd, huge, 2));
    struct iovec negative[] = {{one, 1}, {two, (size_t)-1}};
    value("readv negative length", readv(fd, negative, 2));
    value("preadv", preadv(fd, in, 4, 1));
    say("%.3s|%.4s", one, two);
    value("pwritev", pwritev(fd, out, 3, 0));
    show(fd);
    value("preadv2 offset -1 uses the position", (lseek(fd, 2, SEEK_SET), preadv2(fd, in, 4, -1, 0)));
    value("offset moved", lseek(fd, 0, SEEK_CUR));
    value("preadv2 unknown flag", preadv2(fd, in, 4, 0, 0x40000000));

    int pipes[2];
    need(pipe(pipes) == 0, "pipe");
    value("pread on a pipe", pread(pipes[0], buffer, 1, 0));
    value("pwrite on a pipe", pwrite(pipes[1], buffer, 1, 0));
    value("bad descriptor read", read(-1, buffer, 1));
    value("bad descriptor write", write(12345, buffer, 1));
    value("bad descriptor beats the bad buffer", write(-1, NULL, 1));
    value("readv bad descriptor", readv(-1, in, 1));

    static char big[1 << 20];
    memset(big, 'q', sizeof big);
    int b = open("big", O_RDWR | O_CREAT, 0600);
    value("write 1 MiB", write(b, big, sizeof big));
    memset(big, 0, sizeof big);
    value("pread 1 MiB", pread(b, big, sizeof big, 0));
    int equal = 1;
    for (size_t i = 0; i < sizeof big; i++)
        equal &= big[i] == 'q';
    yes("all bytes", equal);
    value("pwrite at 4 GiB", pwrite(b, "end", 3, 1L << 32));
    struct stat st;
    fstat(b, &st);
    say("size %ld", (long)st.st_size);
    value("pread in the hole", pread(b, buffer, 8, 1L << 31));
    yes("zero", buffer[0] == 0 && buffer[7] == 0);
    value("pread at the far end", pread(b, buffer, 8, 1L << 32));
    value("ftruncate", ftruncate(b, 10));
    unlink("big");
    unlink("f");
    return 0;
}
