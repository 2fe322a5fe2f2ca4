/* memfd_create: names, size, sealing, mapping, /proc/self/fd. */
#include "observe.h"

int main(void)
{
    char link[200] = {0}, path[64];
    int fd = done("memfd_create", memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    say("cloexec %d", fcntl(fd, F_GETFD));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    readlink(path, link, sizeof link - 1);
    say("%s", link);
    value("write", write(fd, "abc", 3));
    struct stat st;
    fstat(fd, &st);
    say("mode %o links %ld size %ld", st.st_mode, (long)st.st_nlink, (long)st.st_size);
    int again = done("open by /proc/self/fd", open(path, O_RDONLY));
    char buffer[8] = {0};
    value("read", read(again, buffer, 8));
    say("%s", buffer);
    value("seals", fcntl(fd, F_GET_SEALS));
    value("seal SHRINK", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    value("shrink", ftruncate(fd, 1));
    value("grow", ftruncate(fd, 10));
    value("seal GROW", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    value("grow", ftruncate(fd, 20));
    value("write behind the end", pwrite(fd, "x", 1, 10));
    value("write inside", pwrite(fd, "x", 1, 9));
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(m != MAP_FAILED, "mmap");
    value("seal WRITE while mapped", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(m, PAGE);
    value("seal WRITE", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    value("write", pwrite(fd, "x", 1, 0));
    mapped("map writable", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    mapped("map private writable", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    value("seal SEAL", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    value("one more", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    value("seals", fcntl(fd, F_GET_SEALS));
    int plain = memfd_create("plain", 0);
    value("not sealable", fcntl(plain, F_GET_SEALS));
    value("add", fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK));
    int file = open("f", O_RDWR | O_CREAT, 0600);
    yes("a pipe has no seals", fcntl(0, F_GET_SEALS) == -1);
    value("unknown flag", memfd_create("x", 0x80000000u));
    char name[300];
    memset(name, 'n', 299);
    name[249] = 0;
    done("249 characters", memfd_create(name, 0));
    name[249] = 'n';
    name[250] = 0;
    done("250 characters", memfd_create(name, 0));
    done("NULL name", memfd_create(NULL, 0));
    close(file);
    unlink("f");
    return 0;
}
