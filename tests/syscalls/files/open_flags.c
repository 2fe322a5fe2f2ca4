// build: static musl
/* open(2): which flags do what, and the errno of each refusal. */
#include "observe.h"

static void content(const char *path)
{
    char buffer[64] = {0};
    int fd = open(path, O_RDONLY);
    need(fd >= 0, path);
    ssize_t n = read(fd, buffer, sizeof buffer - 1);
    say("%s holds %zd: %s", path, n, buffer);
    close(fd);
}

int main(void)
{
    int fd;
    umask(022);
    done("missing without O_CREAT", open("missing", O_RDWR));
    fd = done("O_CREAT", open("a", O_RDWR | O_CREAT, 0640));
    value("write", write(fd, "hello world", 11));
    struct stat st;
    fstat(fd, &st);
    say("mode %o size %ld links %ld", st.st_mode, (long)st.st_size, (long)st.st_nlink);
    done("O_CREAT on what exists", open("a", O_RDONLY | O_CREAT, 0777));
    fstat(fd, &st);
    say("mode stays %o", st.st_mode);
    done("O_EXCL on what exists", open("a", O_RDWR | O_CREAT | O_EXCL, 0600));
    done("O_EXCL fresh", open("b", O_RDWR | O_CREAT | O_EXCL, 0666));
    stat("b", &st);
    say("umask applied %o", st.st_mode);

    int ro = open("a", O_RDONLY), wo = open("a", O_WRONLY);
    value("write to a read-only descriptor", write(ro, "x", 1));
    char c;
    value("read from a write-only descriptor", read(wo, &c, 1));
    close(ro);
    close(wo);

    int app = open("a", O_WRONLY | O_APPEND);
    value("append offset at open", lseek(app, 0, SEEK_CUR));
    lseek(app, 2, SEEK_SET);
    value("append", write(app, "!!", 2));
    value("append offset after", lseek(app, 0, SEEK_CUR));
    value("pwrite to O_APPEND", pwrite(app, "##", 2, 0));
    content("a");
    close(app);

    fd = open("a", O_WRONLY | O_TRUNC);
    content("a");
    close(fd);
    put_text("a", "again");
    fd = open("a", O_RDONLY | O_TRUNC);
    done("O_RDONLY | O_TRUNC", fd);
    content("a");

    done("O_DIRECTORY on a file", open("a", O_RDONLY | O_DIRECTORY));
    mkdir("d", 0755);
    done("directory for writing", open("d", O_WRONLY));
    done("directory for reading and writing", open("d", O_RDWR));
    done("directory with O_CREAT", open("d", O_RDONLY | O_CREAT, 0600));
    int dir = done("directory", open("d", O_RDONLY));
    value("read of a directory", read(dir, &c, 1));
    done("O_DIRECTORY", open("d", O_RDONLY | O_DIRECTORY));
    done("O_CREAT of a name with a slash behind", open("new/", O_RDWR | O_CREAT, 0600));
    done("file with a slash behind", open("a/", O_RDONLY));
    done("below a file", open("a/x", O_RDONLY));
    done("empty path", open("", O_RDONLY));
    done("access mode 3 as root", open("a", 3));

    symlink("a", "link");
    symlink("nowhere", "dangling");
    done("O_NOFOLLOW on a link", open("link", O_RDONLY | O_NOFOLLOW));
    done("O_NOFOLLOW on a file", open("a", O_RDONLY | O_NOFOLLOW));
    done("dangling", open("dangling", O_RDONLY));
    done("dangling O_EXCL", open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600));
    done("dangling O_CREAT makes the target", open("dangling", O_RDWR | O_CREAT, 0600));
    done("the target exists", access("nowhere", F_OK));

    int path = done("O_PATH", open("a", O_PATH));
    value("read O_PATH", read(path, &c, 1));
    value("write O_PATH", write(path, "x", 1));
    value("fstat O_PATH", fstat(path, &st));
    value("fchmod O_PATH", fchmod(path, 0600));
    value("lseek O_PATH", lseek(path, 0, SEEK_SET));
    int plink = done("O_PATH | O_NOFOLLOW on a link", open("link", O_PATH | O_NOFOLLOW));
    fstat(plink, &st);
    yes("is the link", S_ISLNK(st.st_mode));
    value("openat below a file's O_PATH", openat(path, "x", O_RDONLY));

    fd = open("d", O_RDWR | O_TMPFILE, 0600);
    done("O_TMPFILE", fd);
    if (fd >= 0) {
        fstat(fd, &st);
        say("links of a nameless file %ld", (long)st.st_nlink);
        value("write nameless", write(fd, "x", 1));
    }
    done("O_TMPFILE read-only", open("d", O_RDONLY | O_TMPFILE, 0600));

    int fds[3];
    fds[0] = open("a", O_RDONLY);
    fds[1] = open("a", O_RDONLY);
    yes("the lowest descriptor is given", fds[1] == fds[0] + 1);
    close(fds[0]);
    fds[2] = open("a", O_RDONLY);
    yes("a closed one is given again", fds[2] == fds[0]);
    fd = open("a", O_RDWR | O_CLOEXEC | O_APPEND | O_NONBLOCK);
    say("F_GETFD %d", fcntl(fd, F_GETFD));
    say("F_GETFL %#o", fcntl(fd, F_GETFL) & ~0100000);
    value("close twice", (close(fd), close(fd)));
    value("close -1", close(-1));
    value("close 100000", close(100000));
    return 0;
}
