// build: static musl
/* eventfd: counter, semaphore mode, limits, blocking. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static int fd;
static void *add_later(void *argument)
{
    (void)argument;
    sleep_ms(30);
    eventfd_write(fd, 5);
    return NULL;
}

static void *read_later(void *argument)
{
    uint64_t v;
    (void)argument;
    sleep_ms(30);
    eventfd_read(fd, &v);
    return NULL;
}

static int events(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    return p.revents;
}

int main(void)
{
    uint64_t v;
    fd = done("eventfd", eventfd(3, EFD_NONBLOCK));
    say("events %#x", events(fd));
    value("read 7 bytes", read(fd, &v, 7));
    value("read", read(fd, &v, 8));
    say("counter %lu, events %#x", (unsigned long)v, events(fd));
    value("read at zero", read(fd, &v, 8));
    v = UINT64_MAX;
    value("write the highest value", write(fd, &v, 8));
    v = UINT64_MAX - 1;
    value("write the highest but one", write(fd, &v, 8));
    say("events %#x", events(fd));
    v = 1;
    value("write beyond", write(fd, &v, 8));
    v = 0;
    value("write 0", write(fd, &v, 8));
    value("write 4 bytes", write(fd, &v, 4));
    value("write 16 bytes", write(fd, (uint64_t[]){0, 0}, 16));
    uint64_t more[2] = {7, 7};
    value("read 16 bytes", read(fd, more, 16));
    say("%lx %lu", (unsigned long)more[0], (unsigned long)more[1]);
    value("lseek", lseek(fd, 0, SEEK_SET));
    value("pread", pread(fd, &v, 8, 0));
    close(fd);
    fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    say("cloexec %d", fcntl(fd, F_GETFD));
    for (int i = 0; i < 4; i++)
        value("semaphore read", read(fd, &v, 8) == 8 ? (long)v : -1);
    close(fd);
    value("unknown flag", eventfd(0, 0x40000000));
    fd = eventfd(0, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, add_later, NULL);
    value("a blocking read waits", read(fd, &v, 8));
    say("counter %lu", (unsigned long)v);
    pthread_join(thread, NULL);
    value("read to NULL", (eventfd_write(fd, 1), read(fd, NULL, 8)));
    say("events %#x", events(fd));
    char *page = fresh(2 * PAGE);
    mprotect(page + PAGE, PAGE, PROT_NONE);
    value("read to a bad page", (eventfd_write(fd, 1), read(fd, page + PAGE - 4, 8)));
    say("events %#x", events(fd));
    value("write from NULL", write(fd, NULL, 8));
    eventfd_write(fd, UINT64_MAX - 6);
    pthread_create(&thread, NULL, read_later, NULL);
    v = 6;
    value("a blocking write waits", write(fd, &v, 8));
    pthread_join(thread, NULL);
    eventfd_read(fd, &v);
    say("counter %lu", (unsigned long)v);
    value("preadv", preadv(fd, &(struct iovec){&v, 8}, 1, 0));
    value("pwrite", pwrite(fd, &v, 8, 0));
    value("lseek to the end", lseek(fd, 5, SEEK_END));
    value("lseek, bad base", lseek(fd, 0, 77));
    return 0;
}
