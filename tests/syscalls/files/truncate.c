/* truncate, ftruncate, fallocate: growth, zeroes, mapped tails, errors. */
#include "observe.h"
#include <linux/falloc.h>
#include <sys/resource.h>
#include <signal.h>

static void sizes(int fd)
{
    struct stat st;
    fstat(fd, &st);
    char c[8] = "########";
    ssize_t n = pread(fd, c, 8, 0);
    printf("  size %ld, head %zd:", (long)st.st_size, n);
    for (ssize_t i = 0; i < n; i++)
        printf(" %02x", (unsigned char)c[i]);
    say(" ");
}

int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    write(fd, "abcdefgh", 8);
    value("shrink", ftruncate(fd, 3));
    sizes(fd);
    value("grow", ftruncate(fd, 6));
    sizes(fd);
    value("offset stays", lseek(fd, 0, SEEK_CUR));
    value("write at the old offset", write(fd, "Z", 1));
    sizes(fd);
    value("truncate by path", truncate("f", 0));
    sizes(fd);
    value("negative", ftruncate(fd, -1));
    int ro = open("f", O_RDONLY);
    value("read-only", ftruncate(ro, 1));
    mkdir("d", 0700);
    value("directory", truncate("d", 0));
    value("nothing", truncate("none", 0));
    int p[2];
    pipe(p);
    value("pipe", ftruncate(p[1], 0));
    value("closed", ftruncate(-1, 0));

    ftruncate(fd, 0);
    pwrite(fd, "0123456789", 10, 4090);
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    m[5000] = 'q';
    value("shrink under a mapping", ftruncate(fd, 4093));
    yes("the tail of the page is zero", m[4093] == 0);
    value("grow again", ftruncate(fd, 8192));
    yes("the next page is zero", m[5000] == 0);
    munmap(m, 8192);

    value("fallocate", fallocate(fd, 0, 0, 20000));
    sizes(fd);
    value("fallocate KEEP_SIZE", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 40000));
    sizes(fd);
    pwrite(fd, "abcdefgh", 8, 0);
    value("punch a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
    sizes(fd);
    value("punch without KEEP_SIZE", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 2, 3));
    value("fallocate 0 bytes", fallocate(fd, 0, 0, 0));
    value("fallocate negative", fallocate(fd, 0, -1, 5));
    value("fallocate read-only", fallocate(ro, 0, 0, 5));
    value("fallocate pipe", fallocate(p[1], 0, 0, 5));

    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int small = open("small", O_RDWR | O_CREAT, 0600);
    value("up to RLIMIT_FSIZE", pwrite(small, "0123456789", 10, 995));
    value("behind it", pwrite(small, "x", 1, 1000));
    value("ftruncate behind it", ftruncate(small, 1001));
    unlink("f");
    unlink("small");
    return 0;
}
