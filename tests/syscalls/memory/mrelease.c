/* process_mrelease, and process_madvise's descriptors: what is no process, what is not ending. */
#include "observe.h"
#include <sys/uio.h>

int main(void)
{
    int file = open("/dev/null", O_RDONLY);
    value("no descriptor", syscall(SYS_process_mrelease, 999, 0));
    value("-1", syscall(SYS_process_mrelease, -1, 0));
    value("a file", syscall(SYS_process_mrelease, file, 0));
    value("oneself", syscall(SYS_process_mrelease, -10001, 0));
    value("flags", syscall(SYS_process_mrelease, -10001, 1));
    value("flags, no descriptor", syscall(SYS_process_mrelease, 999, 1));
    char *p = fresh(4 * PAGE);
    memset(p, 'x', 4 * PAGE);
    struct iovec parts[3] = {{p, PAGE}, {p + 2 * PAGE, 2 * PAGE}, {p + PAGE, PAGE}};
    static const int advice[] = {MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
        MADV_COLD, MADV_PAGEOUT, 25, MADV_POPULATE_READ, MADV_HUGEPAGE, MADV_WIPEONFORK, 102, 103, 24, 99};
    char text[40];
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
        snprintf(text, sizeof text, "advice %d", advice[i]);
        long result = syscall(SYS_process_madvise, -10001, parts, 2, advice[i], 0);
        if (advice[i] == 25)
            yes(text, result == -1);
        else
            value(text, result);
    }
    value("no ranges", syscall(SYS_process_madvise, -10001, parts, 0, MADV_COLD, 0));
    value("flags", syscall(SYS_process_madvise, -10001, parts, 1, MADV_COLD, 1));
    value("too many", syscall(SYS_process_madvise, -10001, parts, 1025, MADV_COLD, 0));
    value("ranges at 1", syscall(SYS_process_madvise, -10001, 1, 1, MADV_COLD, 0));
    value("a file", syscall(SYS_process_madvise, file, parts, 1, MADV_COLD, 0));
    value("-1", syscall(SYS_process_madvise, -1, parts, 1, MADV_COLD, 0));
    parts[1].iov_base = p + 1;
    value("the second unaligned", syscall(SYS_process_madvise, -10001, parts, 2, MADV_COLD, 0));
    parts[0].iov_base = p + 1;
    value("the first unaligned", syscall(SYS_process_madvise, -10001, parts, 2, MADV_COLD, 0));
    munmap(p + 3 * PAGE, PAGE);
    parts[0].iov_base = p, parts[1] = (struct iovec){p + 2 * PAGE, 2 * PAGE};
    value("the second with a hole", syscall(SYS_process_madvise, -10001, parts, 3, MADV_COLD, 0));
    value("which comes first", syscall(SYS_process_madvise, -10001, parts + 1, 2, MADV_COLD, 0));
    return 0;
}
