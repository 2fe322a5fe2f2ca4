/* lseek: each whence, data and holes, and what cannot be sought. */
#include "observe.h"

int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    write(fd, "0123456789", 10);
    value("SET", lseek(fd, 3, SEEK_SET));
    value("CUR", lseek(fd, 2, SEEK_CUR));
    value("CUR back", lseek(fd, -5, SEEK_CUR));
    value("CUR before the start", lseek(fd, -1, SEEK_CUR));
    value("unmoved", lseek(fd, 0, SEEK_CUR));
    value("END", lseek(fd, -4, SEEK_END));
    value("END beyond", lseek(fd, 100, SEEK_END));
    value("END before the start", lseek(fd, -11, SEEK_END));
    value("SET negative", lseek(fd, -1, SEEK_SET));
    value("CUR overflow", (lseek(fd, 1, SEEK_SET), lseek(fd, INT64_MAX, SEEK_CUR)));
    value("unknown whence", lseek(fd, 0, 9));
    value("whence -1", lseek(fd, 0, -1));
    value("bad descriptor", lseek(-1, 0, SEEK_SET));
    value("bad descriptor and whence", lseek(-1, 0, 9));
    int p[2];
    pipe(p);
    value("pipe", lseek(p[0], 0, SEEK_CUR));
    int null = open("/dev/null", O_RDWR);
    value("/dev/null", lseek(null, 5, SEEK_SET));
    int zero = open("/dev/zero", O_RDWR);
    value("/dev/zero END", lseek(zero, 5, SEEK_END));

    value("DATA", lseek(fd, 0, SEEK_DATA));
    value("DATA inside", lseek(fd, 5, SEEK_DATA));
    value("DATA at the end", lseek(fd, 10, SEEK_DATA));
    value("HOLE", lseek(fd, 0, SEEK_HOLE));
    value("HOLE inside", lseek(fd, 9, SEEK_HOLE));
    value("HOLE at the end", lseek(fd, 10, SEEK_HOLE));
    value("DATA negative", lseek(fd, -1, SEEK_DATA));

    int m = memfd_create("holes", 0);
    ftruncate(m, 1 << 20);
    value("all hole DATA", lseek(m, 0, SEEK_DATA));
    value("all hole HOLE", lseek(m, 0, SEEK_HOLE));
    pwrite(m, "x", 1, 256 << 10);
    pwrite(m, "y", 1, 512 << 10);
    value("DATA finds the first", lseek(m, 0, SEEK_DATA));
    value("HOLE behind it", lseek(m, 256 << 10, SEEK_HOLE));
    value("DATA finds the second", lseek(m, (256 << 10) + 4096, SEEK_DATA));
    value("HOLE behind the second", lseek(m, 512 << 10, SEEK_HOLE));
    value("DATA after the last", lseek(m, (512 << 10) + 4096, SEEK_DATA));

    int d = open(".", O_RDONLY);
    value("directory start", lseek(d, 0, SEEK_SET));
    unlink("f");
    return 0;
}
