/* Another thread unmaps and maps the buffer all the time: a call gets its bytes, fewer, or EFAULT. */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>

static char *area;
static atomic_int stop;

static void *churn(void *argument)
{
    (void)argument;
    while (!stop) {
        munmap(area + PAGE, PAGE);
        mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        mprotect(area, PAGE, PROT_NONE);
        mprotect(area, PAGE, PROT_READ | PROT_WRITE);
    }
    return NULL;
}

int main(void)
{
    area = fresh(4 * PAGE);
    int fd = open("/dev/zero", O_RDONLY), out = memfd_create("m", 0), good = 1;
    pthread_t thread;
    pthread_create(&thread, NULL, churn, NULL);
    int64_t end = now_ns(CLOCK_MONOTONIC) + 1000000000;
    long calls = 0;
    while (now_ns(CLOCK_MONOTONIC) < end) {
        long n = read(fd, area + 100, 3 * PAGE);
        good &= (n >= 0 && n <= (long)(3 * PAGE)) || (n == -1 && errno == EFAULT);
        n = pwrite(out, area + 100, 3 * PAGE, 0);
        good &= (n >= 0 && n <= (long)(3 * PAGE)) || (n == -1 && errno == EFAULT);
        struct stat st;
        n = syscall(SYS_fstat, fd, area + PAGE - 8);
        good &= n == 0 || (n == -1 && errno == EFAULT);
        (void)st;
        calls++;
    }
    stop = 1;
    pthread_join(thread, NULL);
    yes("only bytes or EFAULT", good);
    yes("many calls", calls > 1000);
    return 0;
}
