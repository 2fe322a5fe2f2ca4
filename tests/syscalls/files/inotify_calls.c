/* inotify: the calls' errors, what watches can ask for, limits, and waiting for events. */
#include "observe.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static char buffer[1 << 20] __attribute__((aligned(8)));
static int in;

static void one_by_one(const char *what)
{
    long n = read(in, buffer, sizeof buffer);
    value(what, n);
    for (long at = 0; at < n;) {
        struct inotify_event *e = (void *)(buffer + at);
        say("  wd %d mask %x len %u %s", e->wd, e->mask, e->len, e->len ? e->name : "");
        at += sizeof *e + e->len;
    }
}

static void touch(const char *path)
{
    close(open(path, O_WRONLY | O_CREAT, 0600));
}

static void errors(void)
{
    int pipes[2];
    need(pipe(pipes) == 0, "pipe");
    value("init1 of unknown flags", inotify_init1(1));
    in = inotify_init();
    value("flags", fcntl(in, F_GETFL));
    value("closed at exec", fcntl(in, F_GETFD));
    close(in);
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    value("flags", fcntl(in, F_GETFL));
    value("closed at exec", fcntl(in, F_GETFD));
    value("no mask", inotify_add_watch(in, "d", 0));
    value("unknown bit", inotify_add_watch(in, "d", IN_ACCESS | 0x1000));
    value("another unknown bit", inotify_add_watch(in, "d", IN_ACCESS | 0x08000000));
    value("bad descriptor", inotify_add_watch(-1, "d", IN_ACCESS));
    value("bad mask comes first", inotify_add_watch(-1, "d", 0));
    value("no queue", inotify_add_watch(pipes[0], "d", IN_ACCESS));
    value("add and create", inotify_add_watch(in, "d", IN_ACCESS | IN_MASK_ADD | IN_MASK_CREATE));
    value("the same with no queue",
          inotify_add_watch(pipes[0], "d", IN_ACCESS | IN_MASK_ADD | IN_MASK_CREATE));
    value("no path", inotify_add_watch(in, NULL, IN_ACCESS));
    value("bad path", inotify_add_watch(in, (char *)8, IN_ACCESS));
    value("empty path", inotify_add_watch(in, "", IN_ACCESS));
    value("nothing there", inotify_add_watch(in, "none", IN_ACCESS));
    value("below a file", inotify_add_watch(in, "d/f/g", IN_ACCESS));
    value("a file for a directory", inotify_add_watch(in, "d/f", IN_ACCESS | IN_ONLYDIR));
    value("a link to nothing", inotify_add_watch(in, "d/dangling", IN_ACCESS));
    value("the link itself", inotify_add_watch(in, "d/dangling", IN_ACCESS | IN_DONT_FOLLOW));
    value("only directories, no following",
          inotify_add_watch(in, "d/todir", IN_ACCESS | IN_DONT_FOLLOW | IN_ONLYDIR));
    value("rm of no watch", inotify_rm_watch(in, 7));
    value("rm of -1", inotify_rm_watch(in, -1));
    value("rm of 0", inotify_rm_watch(in, 0));
    value("rm in no queue", inotify_rm_watch(pipes[0], 1));
    value("rm in nothing", inotify_rm_watch(-1, 1));
    value("rm", inotify_rm_watch(in, 1));
    value("rm again", inotify_rm_watch(in, 1));
    one_by_one("read");
    value("write", write(in, "x", 1));
    value("lseek", lseek(in, 1, SEEK_SET));
    value("pread", pread(in, buffer, 100, 0));
    value("fstat", fstat(in, (void *)buffer));
    value("ftruncate", ftruncate(in, 0));
    value("fsync", fsync(in));
    value("only an event mask that nobody can ask for", inotify_add_watch(in, "d", IN_IGNORED));
    value("rm", inotify_rm_watch(in, 2));
    one_by_one("read");
    close(pipes[0]);
    close(pipes[1]);
}

static void masks(void)
{
    int wd = inotify_add_watch(in, "d", IN_CREATE);
    value("watch", wd);
    value("again, by another path", inotify_add_watch(in, "d/../d/.", IN_DELETE));
    touch("d/one");
    unlink("d/one");
    one_by_one("replaced by DELETE");
    value("added", inotify_add_watch(in, "d", IN_CREATE | IN_MASK_ADD));
    touch("d/one");
    unlink("d/one");
    one_by_one("both");
    value("must be new", inotify_add_watch(in, "d", IN_CREATE | IN_MASK_CREATE));
    value("is new", inotify_add_watch(in, "d/f", IN_OPEN | IN_MASK_CREATE));
    value("by the link", inotify_add_watch(in, "d/link", IN_OPEN));
    touch("d/f");
    one_by_one("opened");
    value("once", inotify_add_watch(in, "d/f", IN_OPEN | IN_ONESHOT));
    touch("d/f");
    touch("d/f");
    one_by_one("once");
    value("rm of what ended", inotify_rm_watch(in, wd + 1));
    value("the next number", inotify_add_watch(in, "d/f", IN_CLOSE));
    touch("d/f");
    one_by_one("closed");
    inotify_rm_watch(in, wd + 2);
    value("unlinked are left out", inotify_add_watch(in, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK));
    one_by_one("ignored");
    int fd = open("d/gone", O_RDWR | O_CREAT, 0600);
    unlink("d/gone");
    write(fd, "x", 1);
    ftruncate(fd, 0);
    close(fd);
    one_by_one("of a file without a name");
    inotify_rm_watch(in, wd);
    one_by_one("ignored");
}

static void merging(void)
{
    int fd = open("d/f", O_RDWR), n = -1, wd = inotify_add_watch(in, "d", IN_ALL_EVENTS);
    for (int i = 0; i < 5; i++)
        write(fd, "x", 1);
    pread(fd, buffer, 1, 0);
    write(fd, "x", 1);
    value("FIONREAD", ioctl(in, FIONREAD, &n));
    value("bytes", n);
    value("FIONREAD to nowhere", ioctl(in, FIONREAD, (void *)8));
    value("another ioctl", ioctl(in, 0x1234, &n));
    one_by_one("merged where neighbours");
    value("FIONREAD", ioctl(in, FIONREAD, &n));
    value("bytes", n);
    write(fd, "x", 1);
    value("no room at all", read(in, buffer, 0));
    value("no room for the name", read(in, buffer, 31));
    value("still there", read(in, buffer, 32));
    write(fd, "x", 1);
    pread(fd, buffer, 1, 0);
    value("room for one and a half", read(in, buffer, 50));
    value("the other", read(in, buffer, 50));
    write(fd, "x", 1);
    value("bad buffer", read(in, (void *)8, 100));
    value("lost", read(in, buffer, 100));
    touch("d/0123456789abcde");
    one_by_one("a name of 15");
    touch("d/0123456789abcdef");
    one_by_one("a name of 16");
    close(fd);
    inotify_rm_watch(in, wd);
    one_by_one("the end");
}

static void overflow(void)
{
    char text[32] = "";
    int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    long most = atol(text), events = 0, lost = 0, n;
    value("max_queued_events", most);
    fd = open("d/f", O_RDWR);
    inotify_add_watch(in, "d/f", IN_MODIFY | IN_ACCESS);
    for (long i = 0; i < most; i++) {
        write(fd, "x", 1);
        pread(fd, buffer, 1, 0);
    }
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < n; at += 16) {
            struct inotify_event *e = (void *)(buffer + at);
            events++;
            if (e->mask == IN_Q_OVERFLOW) {
                lost++;
                yes("it comes last", at + 16 == n && e->wd == -1);
            }
        }
    value("events", events);
    value("overflows", lost);
    write(fd, "x", 1);
    one_by_one("it goes on");
    close(fd);
}

static void limits(void)
{
    int made = 0, fds[256];
    while (made < 256 && (fds[made] = inotify_init()) >= 0)
        made++;
    say("instances: %s, %s", made < 256 ? "limited" : "NOT limited", errno_name(errno));
    while (made > 0)
        close(fds[--made]);
    done("again", fds[0] = inotify_init());
    close(fds[0]);
}

static void *later(void *unused)
{
    (void)unused;
    sleep_ms(50);
    touch("d/late");
    return NULL;
}

static void none(int unused)
{
    (void)unused;
}

static void *interrupt(void *thread)
{
    sleep_ms(50);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static void waiting(void)
{
    pthread_t thread, self = pthread_self();
    struct sigaction act = {.sa_handler = none};
    struct pollfd p = {.fd = in, .events = POLLIN | POLLOUT | POLLRDNORM};
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    int set = epoll_create1(0);
    sigaction(SIGUSR1, &act, NULL);
    value("poll", poll(&p, 1, 0));
    inotify_add_watch(in, "d", IN_CREATE | IN_DELETE);
    value("epoll_ctl", epoll_ctl(set, EPOLL_CTL_ADD, in, &e));
    value("epoll", epoll_wait(set, &e, 1, 0));
    pthread_create(&thread, NULL, later, NULL);
    value("poll", poll(&p, 1, 10000));
    say("ready for %x", p.revents);
    pthread_join(thread, NULL);
    value("epoll", epoll_wait(set, &e, 1, 0));
    value("epoll, no edge", epoll_wait(set, &e, 1, 0));
    unlink("d/late");
    value("epoll, a second event", epoll_wait(set, &e, 1, 0));
    one_by_one("events");
    fcntl(in, F_SETFL, 0);
    pthread_create(&thread, NULL, later, NULL);
    one_by_one("waited");
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, interrupt, &self);
    value("interrupted", read(in, buffer, sizeof buffer));
    pthread_join(thread, NULL);
    act.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &act, NULL);
    unlink("d/late");
    one_by_one("events");
    pthread_t two;
    pthread_create(&two, NULL, interrupt, &self);
    sleep_ms(20);
    pthread_create(&thread, NULL, later, NULL);
    one_by_one("restarted");
    pthread_join(thread, NULL);
    pthread_join(two, NULL);
}

static void shown(void)
{
    char path[64], text[1024], *at;
    int wd;
    close(in);
    in = inotify_init1(IN_NONBLOCK);
    wd = inotify_add_watch(in, "d", IN_CREATE | IN_EXCL_UNLINK | IN_ONLYDIR);
    inotify_add_watch(in, "d/f", IN_ALL_EVENTS | IN_ONESHOT);
    snprintf(path, sizeof path, "/proc/self/fd/%d", in);
    long n = readlink(path, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    say("%s", text);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", in);
    need(slurp(path, text, sizeof text) > 0, path);
    struct stat st;
    stat("d", &st);
    for (at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
        unsigned number;
        unsigned long inode, device, mask, ignored;
        if (sscanf(at, "inotify wd:%x ino:%lx sdev:%lx mask:%lx ignored_mask:%lx", &number, &inode,
                   &device, &mask, &ignored) != 5)
            continue;
        say("wd %d mask %lx ignored %lx", (int)number, mask, ignored);
        if ((int)number == wd)
            yes("its inode", inode == st.st_ino);
    }
}

int main(void)
{
    mkdir("d", 0755);
    put_text("d/f", "text");
    symlink("none", "d/dangling");
    symlink("f", "d/link");
    symlink(".", "d/todir");
    errors();
    masks();
    merging();
    overflow();
    limits();
    close(in);
    in = inotify_init1(IN_NONBLOCK);
    waiting();
    shown();
    return 0;
}
