/* process_vm_readv and process_vm_writev on oneself: flags, sums, partial transfers on either side, whose memory. */
#include "observe.h"
#include <pthread.h>
#include <sys/uio.h>

static long get(pid_t pid, const struct iovec *local, unsigned long n, const struct iovec *remote, unsigned long m, unsigned long flags)
{
    return syscall(SYS_process_vm_readv, (long)pid, local, n, remote, m, flags);
}

static long put(pid_t pid, const struct iovec *local, unsigned long n, const struct iovec *remote, unsigned long m, unsigned long flags)
{
    return syscall(SYS_process_vm_writev, (long)pid, local, n, remote, m, flags);
}

static char *source;
static pid_t main_pid, thread_tid;

static void *in_thread(void *unused)
{
    char bytes[8] = "";
    thread_tid = (pid_t)syscall(SYS_gettid);
    struct iovec local = {bytes, 8}, remote = {source, 8};
    value("a thread reads by the process's number", get(main_pid, &local, 1, &remote, 1, 0));
    value("a thread reads by its own number", get(thread_tid, &local, 1, &remote, 1, 0));
    return unused;
}

int main(void)
{
    pid_t me = main_pid = getpid();
    char out[4 * PAGE], small[16];
    source = fresh(4 * PAGE);
    for (size_t i = 0; i < 4 * PAGE; i++)
        source[i] = (char)(i * 7 + i / PAGE);
    struct iovec local[3] = {{out, 5}, {out + 5, 0}, {out + 5, 4 * PAGE - 5}}, remote[3] = {{source, PAGE + 3}, {source, 0}, {source + PAGE + 3, 64}};
    memset(out, 0, sizeof out);
    value("scattered", get(me, local, 3, remote, 3, 0));
    yes("the same bytes", memcmp(out, source, PAGE + 67) == 0 && out[PAGE + 67] == 0);
    struct iovec one = {small, 4}, whole = {source, 4 * PAGE};
    value("the local side is shorter", get(me, &one, 1, &whole, 1, 0));
    one.iov_len = 16, whole.iov_len = 3;
    value("the remote side is shorter", get(me, &one, 1, &whole, 1, 0));

    say("-- arguments");
    value("flags", get(me, local, 1, remote, 1, 1));
    value("flags first", get(-5, (void *)1, 1, (void *)1, 1, 1UL << 40));
    value("no such process", get(4100000, local, 1, remote, 1, 0));
    value("pid 0", get(0, local, 1, remote, 1, 0));
    value("pid -1", get(-1, local, 1, remote, 1, 0));
    value("nothing local, no such process", get(4100000, local, 0, remote, 1, 0));
    value("nothing remote, no such process", get(4100000, local, 1, remote, 0, 0));
    value("an empty one remote, no such process", get(4100000, local, 1, remote + 1, 1, 0));
    value("an empty one local, no such process", get(4100000, local + 1, 1, remote, 1, 0));
    value("too many local", get(me, local, 1025, remote, 1, 0));
    value("too many remote", get(me, local, 1, remote, 1025, 0));
    value("local vector at 1", get(me, (void *)1, 1, remote, 1, 0));
    value("remote vector at 1", get(me, local, 1, (void *)1, 1, 0));
    value("remote vector at 1, nothing local", get(me, local, 0, (void *)1, 1, 0));
    value("remote vector NULL of none", get(me, local, 1, NULL, 0, 0));
    struct iovec negative = {out, (size_t)-1}, far = {(void *)(1UL << 62), 8}, beyond = {(void *)-4096L, 8};
    value("negative local length", get(me, &negative, 1, remote, 1, 0));
    value("negative remote length", get(me, local, 1, &negative, 1, 0));
    value("local address of the kernel", get(me, &far, 1, remote, 1, 0));
    value("remote address of the kernel", get(me, local, 1, &far, 1, 0));
    value("remote address at the end", get(me, local, 1, &beyond, 1, 0));
    struct iovec many[1024], whence[1024];
    for (int i = 0; i < 1024; i++)
        many[i] = (struct iovec){out + i, 1}, whence[i] = (struct iovec){source + 1023 - i, 1};
    value("1024 of each", get(me, many, 1024, whence, 1024, 0));
    yes("in that order", out[0] == source[1023] && out[1023] == source[0]);

    say("-- holes and rights");
    char *page = fresh(PAGE), *hole = fresh(4 * PAGE);
    memset(hole, 'h', 4 * PAGE);
    munmap(hole + 2 * PAGE, PAGE);
    struct iovec big = {out, sizeof out}, through = {hole + 100, 3 * PAGE};
    value("remote hole behind two pages", get(me, &big, 1, &through, 1, 0));
    through = (struct iovec){hole + 2 * PAGE - 1, 2};
    value("remote hole behind a byte", get(me, &big, 1, &through, 1, 0));
    through = (struct iovec){hole + 2 * PAGE, 2};
    value("remote hole at once", get(me, &big, 1, &through, 1, 0));
    struct iovec twice[2] = {{source, 10}, {hole + 2 * PAGE, 2}};
    value("remote hole in the second", get(me, &big, 1, twice, 2, 0));
    struct iovec into = {hole + 2 * PAGE - 6, 20};
    remote[0].iov_len = 20;
    value("local hole behind six bytes", get(me, &into, 1, remote, 1, 0));
    yes("they are there", memcmp(hole + 2 * PAGE - 6, source, 6) == 0);
    into.iov_base = hole + 2 * PAGE;
    value("local hole at once", get(me, &into, 1, remote, 1, 0));
    struct iovec parts[2] = {{small, 4}, {hole + 2 * PAGE, 4}};
    value("local hole in the second", get(me, parts, 2, remote, 1, 0));
    struct iovec theirs = {page, 8};
    static const int rights[] = {PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_READ | PROT_WRITE};
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        need(mprotect(page, PAGE, rights[i]) == 0, "mprotect");
        say("rights %d", rights[i]);
        value("read from it", get(me, &one, 1, &theirs, 1, 0));
        value("write to it", put(me, &one, 1, &theirs, 1, 0));
    }

    say("-- writing");
    memset(small, 'w', sizeof small);
    struct iovec to[2] = {{source + PAGE - 2, 4}, {source, 3}};
    value("two places", put(me, &one, 1, to, 2, 0));
    yes("written", memcmp(source + PAGE - 2, "wwww", 4) == 0 && memcmp(source, "www", 3) == 0);
    through = (struct iovec){hole + 2 * PAGE - 1, 4};
    value("remote hole behind a byte", put(me, &one, 1, &through, 1, 0));
    into = (struct iovec){hole + 2 * PAGE - 3, 10};
    value("local hole behind three bytes", put(me, &into, 1, remote, 1, 0));
    value("flags", put(me, &one, 1, to, 2, 2));
    put_text("f", "0123456789");
    int fd = open("f", O_RDWR);
    char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct iovec contents = {file + 2, 4};
    value("a shared file", put(me, &one, 1, &contents, 1, 0));
    pread(fd, small, 10, 0);
    say("%.10s", small);
    contents = (struct iovec){file + PAGE - 4, 8};
    value("beyond the file's end", get(me, &big, 1, &contents, 1, 0));
    contents.iov_base = file + PAGE;
    value("only beyond it", get(me, &big, 1, &contents, 1, 0));
    say("-- overlapping");
    struct iovec here = {source, 3000}, there = {source + 1000, 3000};
    value("from 0 to 1000", get(me, &there, 1, &here, 1, 0));
    pthread_t thread;
    need(pthread_create(&thread, NULL, in_thread, NULL) == 0, "thread");
    pthread_join(thread, NULL);
    for (int i = 0; i < 100 && syscall(SYS_tgkill, me, thread_tid, 0) == 0; i++)
        sleep_ms(10);
    value("a thread that has ended", get(thread_tid, local, 1, remote, 1, 0));
    unlink("f");
    return 0;
}
