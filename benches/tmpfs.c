// Files in memory: opening and reading a small one, reading from an open one.
//
// usage: tmpfs MILLISECONDS_PER_CASE DIRECTORY

#include "measure.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SMALL 512
#define PAGE 4096
#define LARGE (128 << 10)

static char bytes[LARGE];
static char small[4096], large[4096];

static void open_read_close(void *context, long count)
{
    (void)context;
    while (count-- > 0) {
        int file = must(open(small, O_RDONLY), "open");
        must(read(file, bytes, SMALL), "read");
        must(close(file), "close");
    }
}

static void open_fstat_close(void *context, long count)
{
    struct stat stat;
    (void)context;
    while (count-- > 0) {
        int file = must(open(small, O_RDONLY), "open");
        must(fstat(file, &stat), "fstat");
        must(close(file), "close");
    }
}

static void read_page(void *context, long count)
{
    while (count-- > 0)
        must(pread(*(int *)context, bytes, PAGE, 0), "pread");
}

static void read_large(void *context, long count)
{
    while (count-- > 0)
        must(pread(*(int *)context, bytes, LARGE, 0), "pread");
}

static void fill(char *name, const char *directory, const char *what, size_t size)
{
    snprintf(name, 4096, "%s/adyton-bench-%s-%d", directory, what, (int)getpid());
    int file = must(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600), name);
    if (must(write(file, bytes, size), "write") != (long)size) {
        fprintf(stderr, "%s: short write\n", name);
        exit(1);
    }
    must(close(file), "close");
}

int main(int argc, char **argv)
{
    struct statfs system;
    begin(argc, argv);
    if (argc < 3) {
        fprintf(stderr, "usage: %s MILLISECONDS_PER_CASE DIRECTORY\n", argv[0]);
        return 2;
    }
    must(statfs(argv[2], &system), argv[2]);
    if (system.f_type != TMPFS_MAGIC) {
        fprintf(stderr, "%s is not on a tmpfs: type %lx\n", argv[2], (long)system.f_type);
        return 1;
    }
    memset(bytes, 'x', sizeof bytes);
    fill(small, argv[2], "small", SMALL);
    fill(large, argv[2], "large", LARGE);
    int file = must(open(large, O_RDONLY), "open");
    measure("open, read 512 B, close", open_read_close, NULL);
    measure("open, fstat, close", open_fstat_close, NULL);
    measure("pread 4 KiB", read_page, &file);
    measure("pread 128 KiB", read_large, &file);
    unlink(small);
    unlink(large);
    end();
    return 0;
}
