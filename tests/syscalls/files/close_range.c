/* close_range: which descriptors go, flags, empty and reversed ranges. */
#include "observe.h"
#include <linux/close_range.h>

static void open_ones(void)
{
    for (int fd = 3; fd < 20; fd++)
        printf("%c", fcntl(fd, F_GETFD) == -1 ? '-' : fcntl(fd, F_GETFD) ? 'c' : 'o');
    say(" ");
}

int main(void)
{
    for (int fd = 3; fd < 20; fd++)
        dup2(0, fd);
    open_ones();
    value("5 to 7", close_range(5, 7, 0));
    open_ones();
    value("again", close_range(5, 7, 0));
    value("CLOEXEC 9 to 11", close_range(9, 11, CLOSE_RANGE_CLOEXEC));
    open_ones();
    value("reversed", close_range(12, 11, 0));
    value("unknown flag", close_range(12, 13, 64));
    value("UNSHARE", close_range(12, 13, CLOSE_RANGE_UNSHARE));
    open_ones();
    value("to the end", close_range(15, ~0u, 0));
    open_ones();
    value("beyond all", close_range(1000000, ~0u, 0));
    return 0;
}
