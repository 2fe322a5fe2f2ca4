// What `adyton trace` shows of calls that succeed, fail, and are interrupted by a signal's handler.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void handler(int number)
{
    (void)number;
    write(1, "handled\n", 8);
}

int main(void)
{
    int ends[2];
    char buffer[16];
    struct timespec moment = {0, 1000};

    signal(SIGUSR1, handler);
    openat(AT_FDCWD, "/no/such/file", O_RDONLY | O_CLOEXEC);
    close(77);
    pipe2(ends, O_CLOEXEC);
    write(ends[1], "a\"b\n", 4);
    read(ends[0], buffer, sizeof buffer);
    lseek(ends[0], 0, SEEK_END);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, 0);
    kill(getpid(), SIGUSR1);
    syscall(SYS_mq_notify, 1, 2, 3);
    syscall(SYS_mq_notify, 1, 2, 3);
    syscall(1000, 1, 2);
    return 3;
}
