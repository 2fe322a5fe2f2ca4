/* getdents64 and readdir: every name once, types, ends, and what happens while names come and go. */
#include "observe.h"
#include <dirent.h>

struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
};

static int compare(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

int main(void)
{
    mkdir("d", 0755);
    mkdir("d/sub", 0755);
    put_text("d/file", "x");
    symlink("file", "d/link");
    int fd = open("d", O_RDONLY | O_DIRECTORY);
    char buffer[4096];
    char *names[32];
    int count = 0;
    long n;
    while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (long i = 0; i < n;) {
            struct entry *e = (void *)(buffer + i);
            char line[300];
            struct stat st;
            fstatat(fd, e->name, &st, AT_SYMLINK_NOFOLLOW);
            snprintf(line, sizeof line, "%s type %d inode %s length %s", e->name, e->type,
                     !strcmp(e->name, "..") || e->ino == st.st_ino ? "agrees" : "DIFFERS",
                     e->length % 8 == 0 && e->length >= 19 + strlen(e->name) + 1 ? "good" : "BAD");
            names[count++] = strdup(line);
            i += e->length;
        }
    value("at the end", n);
    value("again at the end", syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    qsort(names, count, sizeof *names, compare);
    for (int i = 0; i < count; i++)
        say("%s", names[i]);
    lseek(fd, 0, SEEK_SET);
    value("buffer too small for one", syscall(SYS_getdents64, fd, buffer, 8));
    value("a buffer of no bytes", syscall(SYS_getdents64, fd, buffer, 0));
    value("bad buffer", syscall(SYS_getdents64, fd, 8, 4096));
    int file = open("d/file", O_RDONLY);
    value("a file", syscall(SYS_getdents64, file, buffer, sizeof buffer));
    value("closed", syscall(SYS_getdents64, -1, buffer, sizeof buffer));

    mkdir("many", 0755);
    char path[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "many/file-number-%04d", i);
        put_text(path, "");
    }
    DIR *dir = opendir("many");
    int seen = 0;
    static char found[1000];
    struct dirent *e;
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.') {
            int number = atoi(e->d_name + 12);
            found[number]++;
            seen++;
            if (seen % 3 == 0) { /* removing what was already returned must not hide others */
                snprintf(path, sizeof path, "many/%s", e->d_name);
                unlink(path);
            }
        }
    int once = 0;
    for (int i = 0; i < 1000; i++)
        once += found[i] == 1;
    say("seen %d, once %d", seen, once);
    rewinddir(dir);
    seen = 0;
    while ((e = readdir(dir)))
        seen++;
    say("left %d", seen);
    rewinddir(dir);
    readdir(dir);
    readdir(dir);
    long place = telldir(dir);
    e = readdir(dir);
    char kept[256];
    strcpy(kept, e->d_name);
    for (int i = 0; i < 20; i++)
        readdir(dir);
    seekdir(dir, place);
    e = readdir(dir);
    yes("seekdir comes back", !strcmp(kept, e->d_name));
    closedir(dir);
    return 0;
}
