// build: static
/*
 * /proc/self/mem: what can be read and written does not depend on the access that the program has, and
 * ends where nothing is mapped.
 */
#include "observe.h"
#include <sys/uio.h>

static char buffer[1 << 16];

static off_t at(const void *address)
{
    return (off_t)(uintptr_t)address;
}

static void *map(size_t pages, int access, int flags, int fd)
{
    return mmap(NULL, pages * PAGE, access, flags, fd, 0);
}

static void shown(const char *what, const void *bytes)
{
    say("%s: \"%.8s\"", what, (const char *)bytes);
}

static void private_memory(int mem)
{
    char *two = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    strcpy(two, "hello");
    munmap(two + PAGE, PAGE);
    value("ends at the hole", pread(mem, buffer, 2 * PAGE, at(two)));
    shown("it read", buffer);
    value("writes up to the hole", pwrite(mem, buffer, 2 * PAGE, at(two)));
    value("begins in the hole", pread(mem, buffer, 1, at(two + PAGE)));
    value("over the edge", pread(mem, buffer, 10, at(two + PAGE - 3)));
    mprotect(two, PAGE, PROT_NONE);
    memset(buffer, 0, 16);
    value("reads what has no access", pread(mem, buffer, 10, at(two)));
    shown("it read", buffer);
    value("writes it", pwrite(mem, "world", 6, at(two)));
    mprotect(two, PAGE, PROT_READ);
    shown("it is", two);
    value("writes what can be read only", pwrite(mem, "again", 6, at(two)));
    shown("it is", two);
    value("into it", pread(mem, two, 4, at(buffer)));

    char *none = map(3, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    value("reads what was never touched", pread(mem, buffer, 10, at(none + PAGE)));
    value("writes it", pwrite(mem, "across", 6, at(none + 2 * PAGE - 3)));
    mprotect(none, 3 * PAGE, PROT_READ);
    shown("it is", none + 2 * PAGE - 3);
    munmap(none, 3 * PAGE);
}

static void mapped_file(int mem)
{
    int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    char path[64];
    ftruncate(file, 6000);
    pwrite(file, "filefile", 8, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int reader = open(path, O_RDONLY);

    char *shared = map(3, PROT_READ, MAP_SHARED, file);
    value("shared, read only: writes", pwrite(mem, "world", 6, at(shared)));
    value("reads", pread(mem, buffer, 4, at(shared)));
    value("reads beyond the file's end", pread(mem, buffer, 4, at(shared + 2 * PAGE)));
    value("reads up to there", pread(mem, buffer, 3 * PAGE, at(shared)));

    char *own = map(2, PROT_READ, MAP_PRIVATE, reader);
    value("private, read only: writes", pwrite(mem, "mine", 5, at(own)));
    shown("it is", own);
    shown("the file is", shared);
    value("another page", pwrite(mem, "here", 5, at(own + PAGE)));
    shown("it is", own + PAGE);
    pwrite(file, "changed!", 8, 0);
    shown("the file changed, it is", own);
    madvise(own, PAGE, MADV_DONTNEED);
    shown("dropped, it is", own);

    char *writable = map(2, PROT_READ | PROT_WRITE, MAP_SHARED, file);
    value("shared, writable: writes", pwrite(mem, "ours", 5, at(writable)));
    shown("the file is", shared);
    char *none = map(2, PROT_NONE, MAP_SHARED, file);
    value("shared, no access: reads", pread(mem, buffer, 4, at(none)));
    value("writes", pwrite(mem, buffer, 4, at(none)));
    close(file);
    close(reader);
}

int main(void)
{
    struct stat st;
    int mem = open("/proc/self/mem", O_RDWR);
    fstat(mem, &st);
    value("mode", st.st_mode);
    value("size", st.st_size);
    value("SEEK_END", lseek(mem, 0, SEEK_END));
    value("SEEK_DATA", lseek(mem, 4096, SEEK_DATA));
    value("truncate", ftruncate(mem, 0));
    value("nothing there", pread(mem, buffer, 10, 8));
    value("nothing there, nothing wanted", pread(mem, buffer, 0, 8));
    value("write there", pwrite(mem, "x", 1, 8));
    value("a negative offset", pread(mem, buffer, 1, -1));
    private_memory(mem);
    mapped_file(mem);

    static char target[32] = "0123456789";
    char *nowhere = map(1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    value("into a bad buffer", pread(mem, nowhere, 4, at(target)));
    value("from a bad buffer", pwrite(mem, nowhere, 4, at(target)));
    lseek(mem, at(target), SEEK_SET);
    value("in turn", write(mem, "abc", 3));
    value("position", lseek(mem, 0, SEEK_CUR) - at(target));
    struct iovec parts[] = {{buffer, 3}, {buffer + 8, 5}};
    value("scattered", preadv(mem, parts, 2, at(target)));
    shown("the first", buffer);
    shown("the second", buffer + 8);
    yes("mmap refuses", map(1, PROT_READ, MAP_PRIVATE, mem) == MAP_FAILED && errno == ENODEV);

    int reader = open("/proc/self/mem", O_RDONLY), writer = open("/proc/self/mem", O_WRONLY | O_TRUNC);
    value("writes by a reader", pwrite(reader, "x", 1, at(target)));
    value("reads by a writer", pread(writer, buffer, 1, at(target)));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/mem", (int)syscall(SYS_gettid));
    value("by the thread's number", pread(open(path, O_RDONLY), buffer, 4, at(target)));
    return 0;
}
