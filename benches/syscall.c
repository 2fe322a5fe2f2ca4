// What a system call costs that has next to nothing to do.

#include "measure.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void parent(void *context, long count)
{
    (void)context;
    while (count-- > 0)
        getppid();
}

// Through the vDSO: no system call on either side.
static void clock_read(void *context, long count)
{
    (void)context;
    struct timespec time;
    while (count-- > 0)
        clock_gettime(CLOCK_MONOTONIC, &time);
}

static void read_byte(void *context, long count)
{
    char byte;
    while (count-- > 0)
        must(read(*(int *)context, &byte, 1), "read /dev/zero");
}

static void write_byte(void *context, long count)
{
    char byte = 0;
    while (count-- > 0)
        must(write(*(int *)context, &byte, 1), "write /dev/null");
}

static void wake_nobody(void *context, long count)
{
    while (count-- > 0)
        must(syscall(SYS_futex, context, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), "futex wake");
}

int main(int argc, char **argv)
{
    static int word;
    begin(argc, argv);
    // Failing is fast too.
    must(getppid(), "getppid");
    int zero = must(open("/dev/zero", O_RDONLY), "open /dev/zero");
    int null = must(open("/dev/null", O_WRONLY), "open /dev/null");
    measure("getppid", parent, NULL);
    measure("clock_gettime (vDSO)", clock_read, NULL);
    measure("read 1 byte of /dev/zero", read_byte, &zero);
    measure("write 1 byte to /dev/null", write_byte, &null);
    measure("futex wake of nobody", wake_nobody, &word);
    end();
    return 0;
}
