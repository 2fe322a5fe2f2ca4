/* memfd_secret: what the descriptor refuses, what may be mapped, its lock, its length, who can't look. */
#include "faults.h"
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#define secret(flags) syscall(SYS_memfd_secret, flags)

int main(void)
{
    catch_faults();
    char bytes[64] = "secret";
    static char text[1 << 16];
    value("flags", secret(1));
    value("close on exec and more", secret(O_CLOEXEC | O_NONBLOCK));
    int fd = (int)secret(O_CLOEXEC);
    need(fd >= 0, "memfd_secret");
    value("close on exec", fcntl(fd, F_GETFD));
    value("status", fcntl(fd, F_GETFL));
    int other = (int)secret(0);
    value("stays open", fcntl(other, F_GETFD));
    struct stat st;
    need(fstat(fd, &st) == 0, "fstat");
    say("mode %o links %d size %ld", st.st_mode, (int)st.st_nlink, (long)st.st_size);
    value("read", read(fd, bytes, 8));
    value("write", write(fd, bytes, 8));
    value("pread", pread(fd, bytes, 8, 0));
    value("lseek", lseek(fd, 0, SEEK_SET));
    value("fallocate", fallocate(fd, 0, 0, PAGE));
    value("fsync", fsync(fd));
    value("seals", fcntl(fd, F_GET_SEALS));
    value("truncate to less than none", ftruncate(fd, -1));
    value("to nothing", ftruncate(fd, 0));
    value("mapped while empty", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other, 0) != MAP_FAILED);
    value("once", ftruncate(fd, 2 * PAGE + 100));
    value("never again", ftruncate(fd, PAGE));
    value("nor to the same", ftruncate(fd, 2 * PAGE + 100));
    need(fstat(fd, &st) == 0, "fstat");
    say("size %ld blocks %ld", (long)st.st_size, (long)st.st_blocks);
    mapped("privately", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    char *p = mapped("shared", mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    need(p != MAP_FAILED, "mmap");
    char *q = mapped("again", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
    mapped("to be executed", mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
    mapped("validated", mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
    memcpy(p + PAGE, "hidden", 7);
    say("seen through both: %s", q);
    yes("zero behind the end", p[2 * PAGE + 200] == 0);
    say("beyond the pages: %s", reads(p + 3 * PAGE));
    put_file("f", "0123456789", 10);
    int file = open("f", O_RDWR);
    value("read into it", read(file, p, 10));
    say("%.10s", p);
    value("write from it", pwrite(file, p + PAGE, 6, 0));
    pread(file, bytes, 10, 0);
    say("%.10s", bytes);
    struct iovec local = {bytes, 8}, remote = {p, 8};
    value("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0));
    value("process_vm_writev", syscall(SYS_process_vm_writev, getpid(), &local, 1, &remote, 1, 0));
    value("with it as the local side", syscall(SYS_process_vm_readv, getpid(), &remote, 1, &local, 1, 0));
    int mem = open("/proc/self/mem", O_RDWR);
    value("/proc/self/mem", pread(mem, bytes, 8, (off_t)(uintptr_t)p));
    value("writing it", pwrite(mem, bytes, 8, (off_t)(uintptr_t)p));
    value("DONTNEED", madvise(p, PAGE, MADV_DONTNEED));
    value("REMOVE", madvise(p, PAGE, MADV_REMOVE));
    value("mlock", mlock(p, PAGE));
    value("munlock", munlock(p, PAGE));
    value("munlockall", munlockall());
    value("still locked: DONTNEED", madvise(p, PAGE, MADV_DONTNEED));
    value("msync", msync(p, PAGE, MS_SYNC));
    value("mprotect", mprotect(p, PAGE, PROT_READ));
    char start[32];
    slurp("/proc/self/smaps", text, sizeof text);
    snprintf(start, sizeof start, "%lx-", (unsigned long)(p + PAGE));
    char *line = strstr(text, start);
    need(line != NULL, "smaps");
    char *flags = strstr(line, "VmFlags:");
    yes("locked", strstr(strtok(flags, "\n"), " lo") != NULL);
    yes("not dumped", strstr(flags, " dd") != NULL);
    yes("named", strstr(strtok(line, "\n"), "/secretmem (deleted)") != NULL);
    long n = readlink("/proc/self/fd/4", text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    say("%s", text);
    say("-- RLIMIT_MEMLOCK");
    struct rlimit limit = {8 * PAGE, 8 * PAGE};
    need(setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "setrlimit");
    need(setresuid(1000, 1000, 1000) == 0, "setresuid");
    mapped("more than that", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    munmap(p, 4 * PAGE);
    mapped("as much again", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    mapped("more than that", mmap(NULL, 9 * PAGE, PROT_READ, MAP_SHARED, fd, 0));
    unlink("f");
    return 0;
}
