/* remap_file_pages: pages of a file in another order; process_madvise of the caller itself; refusals. */
#include "observe.h"
#include <sys/uio.h>

static void order(const char *what, const char *m, int pages)
{
    char text[32] = {0};
    for (int i = 0; i < pages; i++)
        text[i] = m[(size_t)i * PAGE];
    say("%s: %s", what, text);
}

static long advise(int pidfd, const struct iovec *v, long count, int advice, unsigned flags)
{
    return syscall(SYS_process_madvise, pidfd, v, count, advice, flags);
}

int main(void)
{
    int file = memfd_create("m", 0);
    ftruncate(file, 8 * PAGE);
    char *all = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    for (int i = 0; i < 8; i++)
        all[(size_t)i * PAGE] = (char)('a' + i);
    char *m = mmap(fresh(10 * PAGE), 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
    order("before", m, 8);
    value("one page", remap_file_pages(m, PAGE, 0, 5, 0));
    value("two pages", remap_file_pages(m + 3 * PAGE, 2 * PAGE, 0, 0, 0));
    value("the last", remap_file_pages(m + 7 * PAGE, PAGE, 0, 1, MAP_NONBLOCK));
    order("after", m, 8);
    m[3 * PAGE] = 'X';
    order("written through", all, 8);
    value("across what was made so", remap_file_pages(m, 8 * PAGE, 0, 0, 0));
    order("in order again", m, 8);
    value("rounded down", remap_file_pages(m + 100, PAGE + 100, 0, 7, 0));
    order("after", m, 8);
    value("with an access", remap_file_pages(m, PAGE, PROT_READ, 0, 0));
    value("no bytes", remap_file_pages(m, 100, 0, 0, 0));
    value("beyond the mapping", remap_file_pages(m + 7 * PAGE, 2 * PAGE, 0, 0, 0));
    value("overflow", remap_file_pages(m, -PAGE, 0, 0, 0));
    value("page overflow", remap_file_pages(m, 2 * PAGE, 0, -1UL, 0));
    value("nothing there", remap_file_pages((void *)(64 * PAGE), PAGE, 0, 0, 0));
    char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    value("private", remap_file_pages(p, PAGE, 0, 0, 0));
    value("anonymous", remap_file_pages(fresh(PAGE), PAGE, 0, 0, 0));
    char *s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s[2 * PAGE] = 's';
    value("shared without a file", remap_file_pages(s, PAGE, 0, 2, 0));
    say("%c", s[0]);
    mprotect(m + PAGE, PAGE, PROT_READ);
    value("mixed access", remap_file_pages(m, 3 * PAGE, 0, 0, 0));
    munmap(m + 4 * PAGE, PAGE);
    value("a hole", remap_file_pages(m + 2 * PAGE, 4 * PAGE, 0, 0, 0));
    value("a page behind the end", remap_file_pages(m + 2 * PAGE, PAGE, 0, 100, 0));

    say("-- process_madvise");
    int self = -10000, group = -10001;
    char *a = fresh(4 * PAGE);
    memset(a, 'a', 4 * PAGE);
    struct iovec v[3] = {{a, PAGE}, {a + 2 * PAGE, 2 * PAGE}, {a, 0}};
    value("cold", advise(self, v, 3, MADV_COLD, 0));
    value("dontneed", advise(group, v, 2, MADV_DONTNEED, 0));
    say("%d %c %d %d", a[0], a[PAGE], a[2 * PAGE], a[3 * PAGE]);
    value("none", advise(self, NULL, 0, MADV_DONTNEED, 0));
    value("unknown advice", advise(self, v, 2, 12345, 0));
    value("unknown flags", advise(self, v, 2, MADV_DONTNEED, 1));
    value("flags before all", advise(999, NULL, 5000, MADV_DONTNEED, 1));
    value("too many", advise(self, v, 1025, MADV_DONTNEED, 0));
    value("a bad vector", advise(self, (void *)8, 1, MADV_DONTNEED, 0));
    value("closed", advise(999, v, 2, MADV_DONTNEED, 0));
    value("no process", advise(file, v, 2, MADV_DONTNEED, 0));
    v[1].iov_base = a + 1;
    value("not aligned, behind one", advise(self, v, 2, MADV_DONTNEED, 0));
    v[0].iov_base = a + 1;
    value("not aligned", advise(self, v, 2, MADV_DONTNEED, 0));
    munmap(a + PAGE, PAGE);
    v[0] = (struct iovec){a, 4 * PAGE};
    value("a hole", advise(self, v, 1, MADV_DONTNEED, 0));
    return 0;
}
