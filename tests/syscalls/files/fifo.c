/* Named pipes: made, listed, opened from either end, blocking and not. */
#include "observe.h"
#include <dirent.h>
#include <pthread.h>

static void *open_writer(void *unused)
{
    (void)unused;
    sleep_ms(50);
    int w = open("fifo", O_WRONLY);
    write(w, "late", 4);
    close(w);
    return NULL;
}

int main(void)
{
    char buffer[64];
    struct stat st;
    umask(022);
    value("mknodat", mknodat(AT_FDCWD, "other", S_IFIFO | 0666, 0));
    mkfifo("fifo", 0600);
    value("fifo for writing, no reader", open("fifo", O_WRONLY | O_NONBLOCK));
    int r = open("fifo", O_RDONLY | O_NONBLOCK);
    done("fifo for reading, no writer", r);
    value("reads the end", read(r, buffer, 1));
    int w = open("fifo", O_WRONLY);
    value("writes", write(w, "x", 1));
    value("reads", read(r, buffer, 10));
    value("empty with a writer", read(r, buffer, 10));
    close(r);
    close(w);
    value("mkfifo again", mkfifo("fifo", 0600));
    stat("other", &st);
    say("mode %o links %ld size %ld", st.st_mode, (long)st.st_nlink, (long)st.st_size);
    DIR *dir = opendir(".");
    struct dirent *e;
    while ((e = readdir(dir)))
        if (!strcmp(e->d_name, "fifo"))
            say("listed with type %d", e->d_type);
    pthread_t thread;
    pthread_create(&thread, NULL, open_writer, NULL);
    r = open("fifo", O_RDONLY);
    value("open waits for a writer", read(r, buffer, 10));
    pthread_join(thread, NULL);
    value("and its end", read(r, buffer, 10));
    int both = done("both ends at once", open("fifo", O_RDWR));
    value("write", write(both, "self", 4));
    value("read", read(both, buffer, 10));
    value("O_TRUNC", open("fifo", O_RDONLY | O_TRUNC | O_NONBLOCK) >= 0);
    value("lseek", lseek(both, 0, SEEK_SET));
    value("chmod", chmod("other", 0640));
    value("rename", rename("other", "moved"));
    stat("moved", &st);
    say("mode %o", st.st_mode);
    value("unlink", unlink("fifo"));
    return 0;
}
