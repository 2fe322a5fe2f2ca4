// build: static musl
/* EFAULT at each byte of a page boundary: how much is done before, and that nothing crashes. */
#include "observe.h"
#include <sys/uio.h>

int main(void)
{
    char *two = fresh(2 * PAGE);
    munmap(two + PAGE, PAGE);
    char *edge = two + PAGE;
    memset(two, 'e', PAGE);
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 64);
    long last = -2;
    for (int room = 0; room <= 16; room++) {
        long got = pread(fd, edge - room, 16, 0);
        printf("%s%ld", room ? " " : "pread with 0 to 16 bytes of room: ", got);
        if (got == -1)
            printf("(%s)", errno_name(errno));
        last = got;
    }
    say(" ");
    (void)last;
    for (int room = 0; room <= 16; room++) {
        ftruncate(fd, 0);
        long put = pwrite(fd, edge - room, 16, 0);
        printf("%s%ld", room ? " " : "pwrite: ", put);
    }
    say(" ");
    int p[2];
    pipe2(p, O_NONBLOCK);
    char junk[64];
    for (int room = 0; room <= 16; room++) {
        long put = write(p[1], edge - room, 16);
        printf("%s%ld", room ? " " : "write to a pipe: ", put);
        long left = read(p[0], junk, 64);
        printf("/%ld", left);
    }
    say(" ");
    for (int room = 0; room <= 16; room++) {
        write(p[1], "0123456789abcdef", 16);
        long got = read(p[0], edge - room, 16);
        long left = read(p[0], junk, 64);
        printf("%s%ld/%ld", room ? " " : "read from a pipe: ", got, left);
    }
    say(" ");
    for (int room = 0; room <= 24; room += 4) { /* the vector itself crosses the edge */
        struct iovec *v = (void *)(edge - room);
        if (room >= 16) {
            v->iov_base = junk;
            v->iov_len = 4;
        }
        errno = 0;
        long got = preadv(fd, v, 1, 0);
        printf("%s%ld(%s)", room ? " " : "a vector on the edge: ", got, errno_name(errno));
    }
    say(" ");
    ftruncate(fd, 64);
    struct iovec parts[3] = {{junk, 8}, {edge - 4, 16}, {junk, 8}};
    value("readv with a bad middle", preadv(fd, parts, 3, 0));
    value("writev with a bad middle", pwritev(fd, parts, 3, 0));
    memcpy(edge - 3, "f\0", 2);
    for (int room = 1; room <= 3; room++) { /* a path that ends, or does not, at the edge */
        memcpy(edge - room, "fff", room);
        printf("%s%s", room > 1 ? " " : "a path without an end: ",
               access(edge - room, F_OK) == -1 ? errno_name(errno) : "0");
    }
    say(" ");
    memcpy(edge - 2, "f", 2);
    value("a path that ends at the edge", access(edge - 2, F_OK));
    memset(two, '/', PAGE);
    value("a page of slashes without an end", access(two, F_OK));
    struct stat *st = (void *)(edge - sizeof(struct stat) + 1);
    value("stat one byte short", syscall(SYS_fstat, fd, st));
    st = (void *)(edge - sizeof(struct stat));
    value("stat to the edge", syscall(SYS_fstat, fd, st));
    mprotect(two, PAGE, PROT_READ);
    value("read to a read-only page", pread(fd, two, 8, 0));
    value("write from a read-only page", pwrite(fd, two, 8, 0));
    char *lazy = fresh(1 << 20);
    static char full[1 << 20];
    memset(full, 'l', sizeof full);
    pwrite(fd, full, sizeof full, 0);
    value("read to untouched memory", pread(fd, lazy, 1 << 20, 0));
    yes("it came", lazy[0] == 'l' && lazy[(1 << 20) - 1] == 'l');
    lazy = fresh(1 << 20);
    value("write from untouched memory", pwrite(fd, lazy, 1 << 20, 0));
    pread(fd, junk, 1, 777777);
    say("zero %d", junk[0]);
    value("kernel address", pread(fd, (void *)0xffffffff81000000, 8, 0));
    value("non-canonical address", pread(fd, (void *)0x0123456789abcdef, 8, 0));
    value("wrapping round", pread(fd, (void *)-8L, 64, 0));
    value("across the top of user space", pread(fd, (void *)0x7fffffffeff8, 64, 0));
    unlink("f");
    return 0;
}
