/* Advisory locks of one process: records, those of open descriptions, flock; what /proc/locks shows. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static const char *const kinds[] = {"read", "write", "none"};

static long lock(int fd, int command, int kind, int whence, long start, long len)
{
    struct flock l = {.l_type = kind, .l_whence = whence, .l_start = start, .l_len = len};
    return fcntl(fd, command, &l);
}

/* The lock in the way of one: its type, range and holder. */
static void ask(const char *what, int fd, int command, int kind, long start, long len)
{
    struct flock l = {.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    if (fcntl(fd, command, &l) == -1)
        say("%s: %s", what, errno_name(errno));
    else if (l.l_type == F_UNLCK)
        say("%s: free, whence %d from %ld for %ld, pid %d", what, l.l_whence, (long)l.l_start, (long)l.l_len, l.l_pid);
    else
        say("%s: %s, whence %d, from %ld for %ld, of %s", what, kinds[l.l_type], l.l_whence, (long)l.l_start, (long)l.l_len,
            l.l_pid == -1 ? "a description" : l.l_pid == getpid() ? "this process" : "ANOTHER");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The locks on a file as /proc/locks shows them, but for numbers of locks, processes and inodes; sorted,
 * because Linux keeps them for each processor. */
static void shown(const char *what, const char *path)
{
    struct stat st;
    char line[256], lines[16][160];
    int count = 0;
    FILE *all = fopen("/proc/locks", "r");
    say("%s:", what);
    if (!all || stat(path, &st) != 0) {
        say("  no /proc/locks: %s", errno_name(errno));
        return;
    }
    while (fgets(line, sizeof line, all)) {
        char blocked[3] = "", class[16], state[16], mode[16], from[32], to[32];
        int pid;
        unsigned long inode;
        char *at = strchr(line, ':') + 2;
        if (strncmp(at, "-> ", 3) == 0)
            strcpy(blocked, "->"), at += 3;
        if (sscanf(at, "%15s %15s %15s %d %*x:%*x:%lu %31s %31s", class, state, mode, &pid, &inode, from, to) != 7)
            continue;
        if (inode == st.st_ino && count < 16)
            snprintf(lines[count++], sizeof lines[0], "  %s %s %s %s %s %s %s", blocked, class, state, mode,
                     pid == -1 ? "nobody" : pid == getpid() ? "this process" : "ANOTHER", from, to);
    }
    fclose(all);
    qsort(lines, count, sizeof lines[0], by_text);
    for (int i = 0; i < count; i++)
        say("%s", lines[i]);
}

static void records(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0600), ro = open("f", O_RDONLY), wo = open("f", O_WRONLY), dir = open(".", O_RDONLY);
    int path = open("f", O_PATH), p[2];
    need(pipe(p) == 0, "pipe");
    write(fd, "0123456789", 10);
    value("unknown type", lock(fd, F_SETLK, 3, SEEK_SET, 0, 0));
    value("negative type", lock(fd, F_SETLK, -1, SEEK_SET, 0, 0));
    value("unknown whence", lock(fd, F_SETLK, F_RDLCK, 3, 0, 0));
    value("unknown whence of an unlock", lock(fd, F_SETLK, F_UNLCK, 3, 0, 0));
    value("before the file", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, -1, 1));
    value("backwards out of the file", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 4, -5));
    value("backwards to its begin", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 4, -4));
    shown("backwards", "f");
    value("the lowest length", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 4, INT64_MIN));
    value("beyond the largest", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, INT64_MAX, 2));
    value("the last byte", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, INT64_MAX, 1));
    value("before the end", lock(fd, F_SETLK, F_WRLCK, SEEK_END, -2, 1));
    lseek(fd, 6, SEEK_SET);
    value("at the position", lock(fd, F_SETLK, F_WRLCK, SEEK_CUR, 0, 1));
    value("position and offset overflow", lock(fd, F_SETLK, F_WRLCK, SEEK_CUR, INT64_MAX, 1));
    value("before, from the position", lock(fd, F_SETLK, F_WRLCK, SEEK_CUR, -7, 1));
    shown("several", "f");
    value("a read lock without reading", lock(wo, F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("a write lock without writing", lock(ro, F_SETLK, F_WRLCK, SEEK_SET, 0, 0));
    value("an unlock without writing", lock(ro, F_SETLK, F_UNLCK, SEEK_SET, 6, 1));
    value("of O_PATH", lock(path, F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("of a pipe", lock(p[0], F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("of a pipe, by the end that can't", lock(p[1], F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("of a directory", lock(dir, F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("from nowhere", fcntl(fd, F_SETLK, 8));
    value("of nothing", lock(-1, F_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("ask for an unlock", lock(fd, F_GETLK, F_UNLCK, SEEK_SET, 0, 0));
    ask("ask without writing", ro, F_GETLK, F_WRLCK, 0, 0);
    ask("one's own are not in the way", fd, F_GETLK, F_WRLCK, 0, 0);
    value("all go", lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 0, 0));
    shown("none", "f");
    value("a lock", lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 100));
    value("its middle, to read", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 40, 20));
    shown("three parts", "f");
    value("a hole in each", lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 50, 1));
    value("the neighbour", lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 51, 4));
    shown("four parts", "f");
    value("one again", lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 10, 80));
    shown("one part", "f");
    value("its neighbour", lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 100, 0));
    shown("to the end", "f");
    close(dir);
    close(ro);
    shown("gone with any descriptor", "f");
    lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 0);
    int copy = dup(fd);
    dup2(p[0], copy);
    shown("gone with dup2", "f");
    lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 0);
    copy = open("f", O_PATH);
    close(copy);
    shown("not with O_PATH", "f");
    link("f", "g");
    close(open("g", O_RDONLY));
    shown("gone by another name", "f");
    close(fd), close(wo), close(path), close(p[0]), close(p[1]);
}

static void descriptions(void)
{
    int a = open("f", O_RDWR), b = open("f", O_RDWR), copy = dup(a);
    struct flock l = {.l_type = F_WRLCK, .l_pid = 1};
    value("l_pid", fcntl(a, F_OFD_SETLK, &l));
    value("l_pid of a question", fcntl(a, F_OFD_GETLK, &l));
    value("a", lock(a, F_OFD_SETLK, F_WRLCK, SEEK_SET, 10, 10));
    value("its copy has it too", lock(copy, F_OFD_SETLK, F_WRLCK, SEEK_SET, 10, 10));
    value("b can't", lock(b, F_OFD_SETLK, F_RDLCK, SEEK_SET, 15, 10));
    value("nor can the process", lock(a, F_SETLK, F_RDLCK, SEEK_SET, 15, 10));
    ask("b asks", b, F_OFD_GETLK, F_RDLCK, 0, 0);
    ask("a asks", a, F_OFD_GETLK, F_WRLCK, 0, 0);
    ask("the process asks", a, F_GETLK, F_RDLCK, 0, 0);
    value("the process, beside", lock(b, F_SETLK, F_WRLCK, SEEK_SET, 20, 0));
    ask("b asks beside", b, F_OFD_GETLK, F_WRLCK, 20, 0);
    ask("b asks for all", b, F_OFD_GETLK, F_WRLCK, 0, 0);
    shown("both kinds", "f");
    close(copy);
    shown("the process's are gone", "f");
    value("weaker", lock(a, F_OFD_SETLK, F_RDLCK, SEEK_SET, 10, 10));
    value("b shares it", lock(b, F_OFD_SETLK, F_RDLCK, SEEK_SET, 0, 0));
    value("a wants it back", lock(a, F_OFD_SETLK, F_WRLCK, SEEK_SET, 10, 10));
    shown("shared", "f");
    close(b);
    value("a has it back", lock(a, F_OFD_SETLK, F_WRLCK, SEEK_SET, 10, 10));
    close(a);
    shown("gone with the description", "f");
}

static void whole(void)
{
    int a = open("f", O_RDONLY), b = open("f", O_RDWR), path = open("f", O_PATH), copy = dup(a), p[2];
    need(pipe(p) == 0, "pipe");
    value("nothing", flock(a, 0));
    value("only LOCK_NB", flock(a, LOCK_NB));
    value("both", flock(a, LOCK_SH | LOCK_EX));
    value("LOCK_MAND", flock(a, 32 | LOCK_SH));
    value("unknown", flock(a, 16 | LOCK_SH));
    value("of O_PATH", flock(path, LOCK_SH));
    value("of nothing", flock(-1, LOCK_SH));
    value("of a pipe", flock(p[0], LOCK_EX));
    value("exclusive, opened to read", flock(a, LOCK_EX));
    value("again by the copy", flock(copy, LOCK_EX | LOCK_NB));
    value("b can't", flock(b, LOCK_SH | LOCK_NB));
    value("b's records don't mind", lock(b, F_SETLK, F_WRLCK, SEEK_SET, 0, 0));
    shown("both", "f");
    value("b unlocks nothing", flock(b, LOCK_UN));
    value("shared", flock(a, LOCK_SH));
    value("b too", flock(b, LOCK_SH));
    shown("shared", "f");
    value("a can't be exclusive", flock(a, LOCK_EX | LOCK_NB));
    shown("and has lost what it had", "f");
    value("a again", flock(a, LOCK_SH | LOCK_NB));
    close(a);
    shown("the copy has it", "f");
    close(copy);
    shown("b alone", "f");
    value("of a directory", flock(open(".", O_RDONLY), LOCK_EX | LOCK_NB));
    value("b unlocks", flock(b, LOCK_UN | LOCK_NB));
    shown("none", "f");
    close(b), close(path), close(p[0]), close(p[1]);
}

struct wanted {
    int fd, command, kind;
    long result, error;
};

static void *wait_for(void *argument)
{
    struct wanted *w = argument;
    w->result = w->command == -1 ? flock(w->fd, w->kind) : lock(w->fd, w->command, w->kind, SEEK_SET, 5, 10);
    w->error = errno;
    return NULL;
}

static void none(int unused)
{
    (void)unused;
}

static void waiting(void)
{
    static const struct {
        const char *name;
        int command, kind;
    } ways[] = {{"records of a description", F_OFD_SETLKW, F_WRLCK}, {"records of the process", F_SETLKW, F_WRLCK}, {"whole files", -1, LOCK_EX}};
    struct sigaction act = {.sa_handler = none};
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        int a = open("f", O_RDWR), b = open("f", O_RDWR);
        struct wanted w = {b, ways[i].command, ways[i].kind, 0, 0};
        act.sa_flags = 0;
        sigaction(SIGUSR1, &act, NULL);
        say("%s", ways[i].name);
        if (i == 2)
            flock(a, LOCK_SH);
        else
            lock(a, F_OFD_SETLK, F_RDLCK, SEEK_SET, 0, 0);
        pthread_create(&thread, NULL, wait_for, &w);
        sleep_ms(60);
        shown("waiting", "f");
        pthread_kill(thread, SIGUSR1);
        pthread_join(thread, NULL);
        say("interrupted: %ld %s", w.result, errno_name(w.error));
        shown("after that", "f");
        act.sa_flags = SA_RESTART;
        sigaction(SIGUSR1, &act, NULL);
        pthread_create(&thread, NULL, wait_for, &w);
        sleep_ms(40);
        pthread_kill(thread, SIGUSR1);
        sleep_ms(40);
        if (i == 2)
            flock(a, LOCK_UN);
        else
            lock(a, F_OFD_SETLK, F_UNLCK, SEEK_SET, 0, 20);
        pthread_join(thread, NULL);
        say("restarted: %ld", w.result);
        shown("got", "f");
        close(a);
        close(b);
    }
}

/* What has a name can be locked, whatever it is. */
static void kinds_of_files(void)
{
    mkfifo("fifo", 0600);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "fifo" : ".";
        int flags = i ? O_RDWR : O_RDONLY, a = open(name, flags), b = open(name, flags);
        say("%s", name);
        value("a", flock(a, LOCK_EX));
        value("b can't", flock(b, LOCK_SH | LOCK_NB));
        value("a record", lock(a, F_OFD_SETLK, F_RDLCK, SEEK_SET, 1, 1));
        ask("b asks", b, F_OFD_GETLK, i ? F_WRLCK : F_RDLCK, 0, 0);
        close(a);
        value("b", flock(b, LOCK_EX | LOCK_NB));
        close(b);
    }
}

static void in_fdinfo(void)
{
    char path[64], text[2048];
    int a = open("f", O_RDWR), b = open("f", O_RDWR);
    flock(a, LOCK_SH);
    lock(a, F_SETLK, F_WRLCK, SEEK_SET, 3, 4);
    lock(b, F_OFD_SETLK, F_RDLCK, SEEK_SET, 10, 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", i ? b : a);
        need(slurp(path, text, sizeof text) > 0, path);
        for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
            char class[16], state[16], mode[16], from[32], to[32];
            int number, pid;
            if (sscanf(at, "lock:\t%d: %15s %15s %15s %d %*x:%*x:%*u %31s %31s", &number, class, state, mode, &pid, from, to) == 7)
                say("%s: %s %s %s %s %s", i ? "b" : "a", class, mode, pid == getpid() ? "this process" : "nobody", from, to);
        }
    }
    close(a);
    close(b);
}

int main(void)
{
    kinds_of_files();
    records();
    in_fdinfo();
    descriptions();
    whole();
    waiting();
    return 0;
}
