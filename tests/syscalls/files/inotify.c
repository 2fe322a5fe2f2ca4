/* inotify: what each call tells those who watch a file, its directory, or both; and in which order. */
// build: static dynamic musl

#include "observe.h"
#include <limits.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static int in;
static struct {
    int wd;
    const char *name;
} watched[16];
static int count;
static uint32_t last_cookie;

static const char *name_of(int wd)
{
    for (int i = count - 1; i >= 0; i--)
        if (watched[i].wd == wd)
            return watched[i].name;
    return wd == -1 ? "queue" : "?";
}

static int watch(const char *path, uint32_t mask)
{
    int wd = inotify_add_watch(in, path, mask);
    if (wd < 0) {
        say("watch %s: %s", path, errno_name(errno));
        return wd;
    }
    watched[count].wd = wd;
    watched[count++].name = path;
    return wd;
}

static void mask_text(uint32_t mask, char *text)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
#define BIT(b) {IN_##b, #b}
        BIT(ACCESS), BIT(MODIFY), BIT(ATTRIB), BIT(CLOSE_WRITE), BIT(CLOSE_NOWRITE), BIT(OPEN),
        BIT(MOVED_FROM), BIT(MOVED_TO), BIT(CREATE), BIT(DELETE), BIT(DELETE_SELF), BIT(MOVE_SELF),
        BIT(UNMOUNT), BIT(Q_OVERFLOW), BIT(IGNORED), BIT(ISDIR),
#undef BIT
    };
    *text = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mask & names[i].bit) {
            strcat(text, *text ? "|" : "");
            strcat(text, names[i].name);
            mask &= ~names[i].bit;
        }
    if (mask)
        sprintf(text + strlen(text), "|%x", mask);
}

/* Tells and takes all events. */
static void events(const char *what)
{
    char buffer[65536] __attribute__((aligned(8)));
    char text[256];
    long n;
    say("%s:", what);
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < n;) {
            struct inotify_event *e = (void *)(buffer + at);
            const char *cookie = e->cookie == 0 ? "" : e->cookie == last_cookie ? " same" : " new";
            mask_text(e->mask, text);
            if (e->len && e->name[0] == '#')
                strcpy(e->name, "#number");
            say("  %s %s%s%s%.*s len %u", name_of(e->wd), text, cookie, e->len ? " " : "",
                (int)e->len, e->len ? e->name : "", e->len);
            if (e->cookie)
                last_cookie = e->cookie;
            at += sizeof *e + e->len;
        }
    if (n == 0 || errno != EAGAIN)
        value("  read", n);
}

static void contents(void)
{
    char byte[16];
    struct iovec v = {byte, 4};
    int fd = open("d/f", O_RDWR | O_CREAT, 0644);
    events("made");
    value("write", write(fd, "hello", 5));
    events("written");
    value("write of nothing", write(fd, "hello", 0));
    events("not written");
    value("pwrite", pwrite(fd, "hello", 5, 0));
    events("written");
    value("writev", writev(fd, &v, 1));
    events("written");
    value("read at the end", read(fd, byte, 5));
    events("not read");
    value("pread", pread(fd, byte, 5, 0));
    events("read");
    value("preadv", preadv(fd, &v, 1, 0));
    events("read");
    value("bad read", pread(fd, (void *)8, 5, 0));
    events("not read");
    value("ftruncate", ftruncate(fd, 3));
    events("cut");
    value("truncate", truncate("d/f", 3000));
    events("cut by name");
    value("fallocate", fallocate(fd, 0, 0, 10000));
    events("allocated");
    value("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    events("punched");
    value("fsync", fsync(fd));
    value("lseek", lseek(fd, 0, SEEK_SET));
    events("nothing");
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(map != MAP_FAILED, "mmap");
    map[0] = map[1] + 1;
    munmap(map, 4096);
    events("a mapping");
    done("dup", dup2(fd, 60));
    close(60);
    events("a duplicate closed");
    close(fd);
    events("closed");
    fd = open("d/f", O_RDONLY);
    close(fd);
    events("opened to read");
    fd = open("d/f", O_WRONLY | O_TRUNC);
    close(fd);
    events("O_TRUNC");
    fd = open("d/f", O_PATH);
    close(fd);
    events("O_PATH");
    close(creat("d/f", 0600));
    events("creat of what is there");
    close(creat("d/none/f", 0600));
    events("no creat");
    fd = open("d", O_TMPFILE | O_RDWR, 0600);
    value("unnamed: write", write(fd, "x", 1));
    events("O_TMPFILE");
    close(fd);
    events("O_TMPFILE closed");
}

static void copies(void)
{
    int from = open("d/f", O_RDWR), to = open("d/g", O_RDWR | O_CREAT, 0644), pipes[2];
    off_t at = 0;
    need(pipe(pipes) == 0, "pipe");
    value("write", write(from, "0123456789", 10));
    events("ready");
    value("sendfile", sendfile(to, from, &at, 10));
    events("sendfile");
    at = 0;
    value("copy_file_range", copy_file_range(from, &at, to, NULL, 5, 0));
    events("copy_file_range");
    at = 0;
    value("splice from", splice(from, &at, pipes[1], NULL, 5, 0));
    events("spliced from");
    value("splice to", splice(pipes[0], NULL, to, NULL, 5, 0));
    events("spliced to");
    close(from);
    close(to);
    events("closed");
    value("unlink", unlink("d/g"));
    events("unlinked");
}

static void attributes(void)
{
    struct timespec both[2] = {{1, 0}, {2, 0}};
    int fd;
    value("chmod", chmod("d/f", 0600));
    events("chmod");
    fd = open("d/f", O_RDWR);
    events("open");
    value("fchmod", fchmod(fd, 0640));
    events("fchmod");
    value("chown to itself", fchown(fd, -1, getgid()));
    events("chown");
    value("chown of nothing", fchown(fd, -1, -1));
    events("chown of nothing");
    value("utimensat", utimensat(AT_FDCWD, "d/f", both, 0));
    events("both times");
    both[0].tv_nsec = UTIME_OMIT;
    value("utimensat", utimensat(AT_FDCWD, "d/f", both, 0));
    events("modification");
    both[0].tv_nsec = 0;
    both[1].tv_nsec = UTIME_OMIT;
    value("utimensat", utimensat(AT_FDCWD, "d/f", both, 0));
    events("access");
    both[0].tv_nsec = both[1].tv_nsec = UTIME_NOW;
    value("utimensat", futimens(fd, both));
    events("now");
    if (setxattr("d/f", "user.x", "1", 1, 0) == 0 || errno == EOPNOTSUPP) {
        say("setxattr done");
        events("setxattr");
        removexattr("d/f", "user.x");
        events("removexattr");
    }
    close(fd);
    events("closed");
    value("chmod of the directory", chmod("d", 0755));
    events("chmod");
    value("failed chmod", chmod("d/none", 0755));
    events("nothing");
}

static void names(void)
{
    char buffer[1024];
    int fd;
    value("mkdir", mkdir("d/sub", 0755));
    events("mkdir");
    value("mkdir again", mkdir("d/sub", 0755));
    value("symlink", symlink("f", "d/link"));
    events("symlink");
    value("readlink", readlink("d/link", buffer, sizeof buffer));
    events("readlink");
    value("mknod", mkfifo("d/fifo", 0600));
    events("fifo");
    value("link", link("d/f", "d/hard"));
    events("link");
    value("rename", rename("d/hard", "d/hard2"));
    events("rename");
    value("rename away", rename("d/hard2", "other/hard"));
    events("rename away");
    value("rename here", rename("other/hard", "d/hard"));
    events("rename here");
    value("rename onto the same file", rename("d/hard", "d/f"));
    events("nothing");
    value("unlink", unlink("d/hard"));
    events("unlink of one of two names");
    put_text("d/victim", "v");
    events("made");
    watch("d/victim", IN_ALL_EVENTS);
    put_text("d/winner", "w");
    value("rename over", rename("d/winner", "d/victim"));
    events("rename over");
    put_text("d/left", "l");
    put_text("d/right", "r");
    events("made");
    value("exchange", syscall(SYS_renameat2, AT_FDCWD, "d/left", AT_FDCWD, "d/right", 2));
    events("exchange");
    value("rename of a directory", rename("d/sub", "d/sub2"));
    events("rename of a directory");
    fd = open("d", O_RDONLY | O_DIRECTORY);
    value("getdents", syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
    events("getdents");
    lseek(fd, 0, SEEK_END);
    while (syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0)
        ;
    events("getdents to the end");
    close(fd);
    events("closed");
    watch("d/sub2", IN_ALL_EVENTS);
    value("rmdir", rmdir("d/sub2"));
    events("rmdir of what is watched");
    value("unlink", unlink("d/link"));
    events("unlink of a link");
    unlink("d/fifo"), unlink("d/left"), unlink("d/right"), unlink("d/victim");
    events("the rest");
}

static void fifo(void)
{
    char byte;
    need(mkfifo("d/fifo", 0600) == 0, "mkfifo");
    watch("d/fifo", IN_ALL_EVENTS);
    int fd = open("d/fifo", O_RDWR);
    events("a fifo");
    value("write", write(fd, "x", 1));
    events("written");
    value("read", read(fd, &byte, 1));
    events("read");
    close(fd);
    events("closed");
    unlink("d/fifo");
    events("removed");
}

static void self(void)
{
    put_text("d/own", "1");
    int fd = open("d/own", O_RDWR);
    int wd = watch("d/own", IN_ALL_EVENTS);
    events("before");
    value("write", write(fd, "x", 1));
    events("one write, told twice");
    value("rename", rename("d/own", "d/own2"));
    events("renamed");
    value("unlink", unlink("d/own2"));
    events("unlinked, open");
    value("write", write(fd, "x", 1));
    events("written without a name");
    close(fd);
    events("closed");
    value("rm_watch of what went", inotify_rm_watch(in, wd));
    put_text("d/own", "1");
    value("link", link("d/own", "other/own"));
    events("before");
    watch("d/own", IN_ALL_EVENTS);
    value("unlink", unlink("d/own"));
    events("one of two");
    value("unlink", unlink("other/own"));
    events("two of two");
    value("rename of a watched directory", rename("d", "e"));
    events("rename");
    value("back", rename("e", "d"));
    events("back");
    close(creat("d/x", 0600));
    events("still watched");
    value("unlink", unlink("d/x"));
    events("gone");
}

int main(void)
{
    mkdir("d", 0755);
    mkdir("other", 0755);
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    need(in >= 0, "inotify_init1");
    watch("d", IN_ALL_EVENTS);
    contents();
    watch("other", IN_ALL_EVENTS);
    copies();
    attributes();
    names();
    fifo();
    self();
    return 0;
}
