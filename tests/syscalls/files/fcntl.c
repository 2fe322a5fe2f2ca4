/* fcntl's rarer commands: queries, hints, leases, seals, sizes of pipes, F_SETFL's rules. */
#include "observe.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { DUPFD_QUERY = 1027, CREATED_QUERY, CANCELLK, GET_RW_HINT = 1035, SET_RW_HINT, GET_FILE_RW_HINT, SET_FILE_RW_HINT };

static int file, path, p[2], s[2];

static void queries(void)
{
    int copy = dup(file), again = open("f", O_RDWR);
    value("the same", fcntl(file, DUPFD_QUERY, file));
    value("a copy", fcntl(file, DUPFD_QUERY, copy));
    value("opened again", fcntl(file, DUPFD_QUERY, again));
    value("with nothing", fcntl(file, DUPFD_QUERY, 999));
    value("with -1", fcntl(file, DUPFD_QUERY, -1));
    value("of nothing", fcntl(999, DUPFD_QUERY, file));
    value("of O_PATH", fcntl(path, DUPFD_QUERY, path));
    value("made", fcntl(file, CREATED_QUERY));
    value("a copy", fcntl(copy, CREATED_QUERY));
    value("was there", fcntl(again, CREATED_QUERY));
    value("O_PATH", fcntl(path, CREATED_QUERY));
    value("a pipe", fcntl(p[0], CREATED_QUERY));
    close(copy);
    close(again);
    again = open("f", O_RDWR | O_CREAT, 0600);
    value("O_CREAT of what was there", fcntl(again, CREATED_QUERY));
    close(again);
    again = open(".", O_RDWR | O_TMPFILE, 0600);
    value("unnamed", fcntl(again, CREATED_QUERY));
    close(again);
    value("F_CANCELLK", fcntl(file, CANCELLK));
    value("unknown", fcntl(file, 18));
    value("unknown", fcntl(file, 39));
    value("unknown", fcntl(file, 1023));
    value("unknown", fcntl(file, 1039));
    value("unknown", fcntl(file, -1));
    value("unknown of O_PATH", fcntl(path, 1039));
}

static void hints(void)
{
    uint64_t hint = 9;
    int again = open("f", O_RDONLY);
    value("hint", fcntl(file, GET_RW_HINT, &hint));
    value("is", hint);
    for (hint = 0; hint < 7; hint++)
        value("set", fcntl(file, SET_RW_HINT, &hint));
    hint = 3;
    value("set", fcntl(again, SET_RW_HINT, &hint));
    hint = 9;
    value("seen by the other", fcntl(file, GET_RW_HINT, &hint));
    value("is", hint);
    value("get to nowhere", fcntl(file, GET_RW_HINT, 8));
    value("set from nowhere", fcntl(file, SET_RW_HINT, 8));
    value("of the description", fcntl(file, GET_FILE_RW_HINT, &hint));
    value("of the description", fcntl(file, SET_FILE_RW_HINT, &hint));
    value("of O_PATH", fcntl(path, GET_RW_HINT, &hint));
    hint = 2;
    value("of a pipe", fcntl(p[0], SET_RW_HINT, &hint));
    hint = 9;
    value("of a pipe", fcntl(p[0], GET_RW_HINT, &hint));
    value("is", hint);
    close(again);
}

static void leases(void)
{
    value("no lease", fcntl(file, F_GETLEASE));
    value("of O_PATH", fcntl(path, F_GETLEASE));
    value("of a pipe", fcntl(p[0], F_GETLEASE));
    value("a lease on a pipe", fcntl(p[0], F_SETLEASE, F_RDLCK));
    value("an unknown lease", fcntl(p[0], F_SETLEASE, 77));
    value("an unknown lease on a file", fcntl(file, F_SETLEASE, 77));
    value("no lease to give up", fcntl(file, F_SETLEASE, F_UNLCK));
    value("a lease to read what is written", fcntl(file, F_SETLEASE, F_RDLCK));
    int again = open("f", O_RDONLY);
    value("the same, opened to read", fcntl(again, F_SETLEASE, F_RDLCK));
    value("a lease to write what others have open", fcntl(file, F_SETLEASE, F_WRLCK));
    close(again);
}

static void status(void)
{
    int flags = fcntl(file, F_GETFL), e = eventfd(0, 0), d = open(".", O_RDONLY | O_DIRECTORY);
    value("unknown flags", fcntl(file, F_SETFL, 0xffffffff & ~(O_DIRECT | O_ASYNC | O_NOATIME)));
    say("changed %x", flags ^ fcntl(file, F_GETFL));
    value("access mode and creation", fcntl(file, F_SETFL, O_WRONLY | O_CREAT | O_TRUNC | O_SYNC));
    say("changed %x", flags ^ fcntl(file, F_GETFL));
    value("O_NOATIME", fcntl(file, F_SETFL, O_NOATIME));
    say("changed %x", flags ^ fcntl(file, F_GETFL));
    value("O_APPEND", fcntl(file, F_SETFL, O_APPEND));
    say("changed %x", flags ^ fcntl(file, F_GETFL));
    value("nothing", fcntl(file, F_SETFL, 0));
    say("changed %x", flags ^ fcntl(file, F_GETFL));
    value("O_DIRECT of a pipe", fcntl(p[1], F_SETFL, O_DIRECT));
    say("flags %x", fcntl(p[1], F_GETFL));
    fcntl(p[1], F_SETFL, 0);
    value("O_DIRECT of an eventfd", fcntl(e, F_SETFL, O_DIRECT | O_NONBLOCK));
    say("flags %x", fcntl(e, F_GETFL));
    value("O_DIRECT of a socket", fcntl(s[1], F_SETFL, O_DIRECT));
    value("O_DIRECT of a directory", fcntl(d, F_SETFL, O_DIRECT));
    value("O_DIRECT of a fifo", fcntl(open("fifo", O_RDWR), F_SETFL, O_DIRECT));
    value("O_PATH", fcntl(path, F_SETFL, 0));
    say("flags of O_PATH %x", fcntl(path, F_GETFL) & ~O_CLOEXEC);
    close(d);
    close(e);
}

static void block_sizes(void)
{
    int e = eventfd(0, 0), size = -1;
    value("FIGETBSZ of a pipe", ioctl(p[0], 2, &size));
    value("is", size);
    value("of an eventfd", ioctl(e, 2, &size));
    value("is", size);
    value("of a socket", ioctl(s[0], 2, &size));
    value("is", size);
    value("of a file", ioctl(file, 2, &size));
    value("is", size);
    value("to nowhere", ioctl(p[0], 2, 8));
    close(e);
}

static void pipes(void)
{
    char page[4096] = "";
    value("of a socket", fcntl(s[0], F_GETPIPE_SZ));
    value("of a file", fcntl(file, F_SETPIPE_SZ, 4096));
    value("0", fcntl(p[0], F_SETPIPE_SZ, 0));
    value("is", fcntl(p[1], F_GETPIPE_SZ));
    value("-1", fcntl(p[0], F_SETPIPE_SZ, -1));
    value("2 GiB and one", fcntl(p[0], F_SETPIPE_SZ, 0x80000001));
    value("beyond pipe-max-size, for who may", fcntl(p[0], F_SETPIPE_SZ, 2 << 20));
    value("is", fcntl(p[1], F_GETPIPE_SZ));
    value("three pages", fcntl(p[0], F_SETPIPE_SZ, 3 * 4096));
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    long total = 0;
    while (write(p[1], page, sizeof page) > 0)
        total += sizeof page;
    value("holds", total);
    value("three are too few", fcntl(p[0], F_SETPIPE_SZ, 2 * 4096));
    value("as it is", fcntl(p[0], F_SETPIPE_SZ, 16384));
    value("more", fcntl(p[0], F_SETPIPE_SZ, 32768));
    value("one fits now", write(p[1], page, sizeof page));
}

static void seals(void)
{
    int m = memfd_create("m", MFD_ALLOW_SEALING), n = memfd_create("n", 0);
    value("none", fcntl(m, F_GET_SEALS));
    value("not to be sealed", fcntl(n, F_GET_SEALS));
    value("sealed against it", fcntl(n, F_ADD_SEALS, F_SEAL_SHRINK));
    value("of a file", fcntl(file, F_GET_SEALS) >= 0 || errno == EINVAL);
    value("of a pipe", fcntl(p[0], F_GET_SEALS));
    value("unknown seal", fcntl(m, F_ADD_SEALS, 0x40));
    value("shrink", fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK));
    value("again", fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK));
    value("nothing", fcntl(m, F_ADD_SEALS, 0));
    value("seal", fcntl(m, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE));
    value("now", fcntl(m, F_GET_SEALS));
    value("too late", fcntl(m, F_ADD_SEALS, F_SEAL_GROW));
}

int main(void)
{
    mkfifo("fifo", 0600);
    file = open("f", O_RDWR | O_CREAT, 0600);
    path = open("f", O_PATH);
    need(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "set up");
    queries();
    hints();
    leases();
    status();
    block_sizes();
    pipes();
    seals();
    return 0;
}
