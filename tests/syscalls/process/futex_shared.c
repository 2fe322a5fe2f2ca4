/* A futex in shared memory waits at one address and is woken at another. */
#include "observe.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint32_t *a, *b;
static atomic_int result = -1;

static void *wait_a(void *unused)
{
    (void)unused;
    result = syscall(SYS_futex, a, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : errno;
    return NULL;
}

int main(void)
{
    int fd = memfd_create("m", 0);
    ftruncate(fd, PAGE);
    a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_t t;
    pthread_create(&t, NULL, wait_a, NULL);
    sleep_ms(100);
    value("a private wake does not find it", syscall(SYS_futex, b, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    value("a shared wake does", syscall(SYS_futex, b, FUTEX_WAKE, 1, NULL, NULL, 0));
    pthread_join(t, NULL);
    say("waited: %s", errno_name(result));
    return 0;
}
