// differs on host: a file without a name lies in memory and can't be linked into a shared folder (EXDEV)
/* O_TMPFILE: files without a name, and how they get one. */
#include "observe.h"

static void unnamed(int dir)
{
    char text[64];
    struct stat st;
    int t = openat(dir, ".", O_TMPFILE | O_RDWR, 0640), x = open("d", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    value("O_TMPFILE", t >= 0 && x >= 0 ? 0 : -1);
    say("flags %x", fcntl(t, F_GETFL) & ~0100000);
    value("write", write(t, "text", 4));
    snprintf(text, sizeof text, "/proc/self/fd/%d", t);
    value("linkat by /proc", linkat(AT_FDCWD, text, dir, "named", AT_SYMLINK_FOLLOW));
    value("again, taken", linkat(AT_FDCWD, text, dir, "named", AT_SYMLINK_FOLLOW));
    fstat(t, &st);
    say("links %ld mode %o size %ld", (long)st.st_nlink, st.st_mode, (long)st.st_size);
    value("unlink", unlink("d/named"));
    value("linkat after its last name", linkat(t, "", dir, "named", AT_EMPTY_PATH));
    snprintf(text, sizeof text, "/proc/self/fd/%d", x);
    value("linkat with O_EXCL", linkat(AT_FDCWD, text, dir, "named", AT_SYMLINK_FOLLOW));
    value("in a file", open("d/f", O_TMPFILE | O_RDWR, 0600));
    value("in nothing", open("none", O_TMPFILE | O_RDWR, 0600));
    value("by a link to a directory", open("d/todir", O_TMPFILE | O_RDWR, 0600) >= 0 ? 0 : -1);
    value("by it with O_NOFOLLOW", open("d/todir", O_TMPFILE | O_RDWR | O_NOFOLLOW, 0600));
    value("with O_CREAT", open("d", O_TMPFILE | O_RDWR | O_CREAT, 0600));
    value("with O_TRUNC", open("d", O_TMPFILE | O_RDWR | O_TRUNC, 0600) >= 0 ? 0 : -1);
    value("nothing to see", access("d/named", F_OK));
}

int main(void)
{
    umask(022);
    mkdir("d", 0755);
    put_text("d/f", "text");
    symlink(".", "d/todir");
    unnamed(open("d", O_PATH));
    return 0;
}
