/* sendfile, copy_file_range, splice of files and pipes, fsync and its kin. */
#include "observe.h"
#include <sys/sendfile.h>

int main(void)
{
    char buffer[64] = {0};
    put_text("src", "0123456789abcdef");
    int src = open("src", O_RDONLY), dst = open("dst", O_RDWR | O_CREAT, 0600);
    value("sendfile", sendfile(dst, src, NULL, 4));
    value("source offset", lseek(src, 0, SEEK_CUR));
    off_t at = 10;
    value("sendfile with offset", sendfile(dst, src, &at, 100));
    say("offset became %ld", (long)at);
    value("source offset", lseek(src, 0, SEEK_CUR));
    pread(dst, buffer, 63, 0);
    say("%s", buffer);
    value("sendfile at the end", sendfile(dst, src, &at, 100));
    at = -1;
    value("sendfile negative", sendfile(dst, src, &at, 1));
    int p[2];
    pipe(p);
    value("sendfile to a pipe", (lseek(src, 0, SEEK_SET), sendfile(p[1], src, NULL, 100)));
    memset(buffer, 0, sizeof buffer);
    value("read it", read(p[0], buffer, 63));
    say("%s", buffer);
    value("sendfile to a read-only", sendfile(src, dst, NULL, 1));
    value("sendfile closed", sendfile(-1, src, NULL, 1));
    int app = open("dst", O_WRONLY | O_APPEND);
    value("sendfile to O_APPEND", sendfile(app, src, NULL, 1));

    loff_t from = 2, to = 30;
    value("copy_file_range", copy_file_range(src, &from, dst, &to, 5, 0));
    say("%ld %ld", (long)from, (long)to);
    lseek(src, 0, SEEK_SET);
    lseek(dst, 0, SEEK_SET);
    value("copy_file_range by position", copy_file_range(src, NULL, dst, NULL, 100, 0));
    say("%ld %ld", (long)lseek(src, 0, SEEK_CUR), (long)lseek(dst, 0, SEEK_CUR));
    value("flags", copy_file_range(src, NULL, dst, NULL, 1, 1));
    value("to a read-only", copy_file_range(dst, NULL, src, NULL, 1, 0));
    value("to O_APPEND", copy_file_range(src, NULL, app, NULL, 1, 0));
    value("to a pipe", copy_file_range(src, NULL, p[1], NULL, 1, 0));
    from = 0;
    to = 2;
    int rw = open("src", O_RDWR);
    value("overlapping", copy_file_range(rw, &from, rw, &to, 10, 0));

    value("fsync", fsync(dst));
    value("fdatasync", fdatasync(dst));
    value("fsync read-only", fsync(src));
    value("fsync pipe", fsync(p[0]));
    value("fsync closed", fsync(-1));
    value("sync_file_range", sync_file_range(dst, 0, 0, 0));
    value("syncfs", syncfs(dst));
    value("posix_fadvise", posix_fadvise(dst, 0, 0, POSIX_FADV_DONTNEED));
    value("posix_fadvise pipe", posix_fadvise(p[0], 0, 0, POSIX_FADV_DONTNEED));
    value("posix_fadvise unknown", posix_fadvise(dst, 0, 0, 99));
    value("readahead", readahead(dst, 0, 4096));
    value("flock", syscall(SYS_flock, dst, 2));
    unlink("src");
    unlink("dst");
    return 0;
}
