/* /proc/self's files about memory: oom_score_adj and its kin, pagemap, numa_maps, map_files, clear_refs, mem. */
#include "observe.h"
#include <dirent.h>
#include <sys/resource.h>

static long put_in(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return -1;
    long result = write(fd, text, strlen(text));
    int kept = errno;
    close(fd);
    errno = kept;
    return result;
}

static void try_all(const char *path, const char *const *texts)
{
    char what[128], back[64];
    for (; *texts; texts++) {
        long result = put_in(path, *texts);
        slurp(path, back, sizeof back);
        snprintf(what, sizeof what, "%s %.20s", path + 11, *texts);
        for (char *c = what; *c; c++)
            if (*c == '\n')
                *c = '|';
        if (result < 0)
            say("%s: %s, is %s", what, errno_name(errno), strtok(back, "\n"));
        else
            say("%s: %ld, is %s", what, result, strtok(back, "\n"));
    }
}

static uint64_t entry(int fd, const void *p)
{
    uint64_t e = 77;
    need(pread(fd, &e, 8, (off_t)((uintptr_t)p / PAGE * 8)) == 8, "pagemap");
    return e;
}

static void bits(int fd, const char *what, const void *p)
{
    uint64_t e = entry(fd, p);
    say("%s: present %d swapped %d file %d alone %d", what, (int)(e >> 63), (int)(e >> 62 & 1), (int)(e >> 61 & 1), (int)(e >> 56 & 1));
}

static void policy_line(const void *p)
{
    static char text[1 << 16];
    char start[32];
    slurp("/proc/self/numa_maps", text, sizeof text);
    int n = snprintf(start, sizeof start, "%08lx ", (unsigned long)p);
    char *line = strstr(text, start);
    if (!line) {
        say("no line");
        return;
    }
    say("numa_maps: %s", strtok(line + n, "\n"));
}

int main(void)
{
    static const char *const values[] = {"500", "400\n", " 7 ", "0x10", "010", "+3", "1000", "1001", "-1001", "", "x", "5x", "1 2", "99999999999", "123456789012345", NULL};
    char text[4096], path[128];
    try_all("/proc/self/oom_score_adj", values);
    put_in("/proc/self/oom_score_adj", "0");
    static const char *const old[] = {"3", "8", "14\n", "15", "16", "-18", "x", NULL};
    try_all("/proc/self/oom_adj", old);
    slurp("/proc/self/oom_score_adj", text, sizeof text);
    say("oom_score_adj is %s", strtok(text, "\n"));
    put_in("/proc/self/oom_score_adj", "300");
    slurp("/proc/self/oom_adj", text, sizeof text);
    say("oom_adj is %s", strtok(text, "\n"));
    slurp("/proc/self/oom_score", text, sizeof text);
    yes("oom_score grew with it", atoi(text) >= 866);
    put_in("/proc/self/oom_score_adj", "0");
    struct stat st;
    static const char *const files[] = {"oom_score_adj", "oom_adj", "oom_score", "pagemap", "clear_refs", "numa_maps", "smaps", "map_files", "mem"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/self/%s", files[i]);
        need(stat(path, &st) == 0, path);
        say("%s: mode %o", files[i], st.st_mode);
    }

    say("-- pagemap");
    int fd = open("/proc/self/pagemap", O_RDONLY);
    char *p = fresh(4 * PAGE);
    memset(p, 'x', 4 * PAGE);
    put_text("f", "file");
    int file = open("f", O_RDWR);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    shared[0] = 'F';
    bits(fd, "private", p + PAGE);
    bits(fd, "shared file", shared);
    munmap(p + 2 * PAGE, PAGE);
    bits(fd, "none", p + 2 * PAGE);
    char *reserved = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bits(fd, "reserved", reserved);
    uint64_t some[3];
    off_t at = (off_t)((uintptr_t)p / PAGE * 8);
    value("three entries", pread(fd, some, 24, at));
    say("%d %d %d", (int)(some[0] >> 63), (int)(some[1] >> 63), (int)(some[2] >> 63));
    value("odd length", pread(fd, some, 7, at));
    value("odd position", pread(fd, some, 8, at + 4));
    value("nothing", pread(fd, some, 0, at));
    value("beyond all", pread(fd, some, 8, 1L << 60));
    value("read-only", open("/proc/self/pagemap", O_WRONLY) < 0 ? -1 : 0);
    value("bad buffer", pread(fd, (void *)1, 8, at));

    say("-- numa_maps");
    char *q = mmap(p + 2 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    policy_line(q);
    unsigned long node = 1;
    need(syscall(SYS_mbind, q, PAGE, 2, &node, 64, 0) == 0, "mbind");
    policy_line(q);
    need(syscall(SYS_mbind, q, PAGE, 1 | 0x8000, &node, 64, 0) == 0, "mbind");
    policy_line(q);
    need(syscall(SYS_mbind, q, PAGE, 3 | 0x4000, &node, 64, 0) == 0, "mbind");
    policy_line(q);
    need(syscall(SYS_mbind, q, PAGE, 1, NULL, 0, 0) == 0, "mbind");
    policy_line(q);

    say("-- map_files");
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)shared, (unsigned long)shared + PAGE);
    long n = readlink(path, text, sizeof text - 1);
    need(n > 0, path);
    text[n] = 0;
    yes("leads to the file", strcmp(strrchr(text, '/'), "/f") == 0);
    need(stat(path, &st) == 0, path);
    struct stat same;
    fstat(file, &same);
    yes("the same file", same.st_ino == st.st_ino);
    DIR *folder = opendir("/proc/self/map_files");
    struct dirent *found;
    int listed = 0;
    while ((found = readdir(folder)))
        listed += strcmp(found->d_name, strrchr(path, '/') + 1) == 0;
    say("listed %d", listed);
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)p, (unsigned long)p + 2 * PAGE);
    value("not of private memory", readlink(path, text, sizeof text));
    value("no such name", readlink("/proc/self/map_files/x", text, sizeof text));
    value("in a thread's folder", access("/proc/self/task/self/map_files", F_OK));

    say("-- clear_refs");
    value("5", put_in("/proc/self/clear_refs", "5"));
    value("0", put_in("/proc/self/clear_refs", "0"));
    value("6", put_in("/proc/self/clear_refs", "6"));
    value("x", put_in("/proc/self/clear_refs", "x"));
    value("can't be read", open("/proc/self/clear_refs", O_RDONLY) < 0 ? -1 : read(open("/proc/self/clear_refs", O_RDONLY), text, 8));

    say("-- mem, appending");
    int mem = open("/proc/self/mem", O_RDWR | O_APPEND);
    value("seek", lseek(mem, (off_t)(uintptr_t)p, SEEK_SET) == (off_t)(uintptr_t)p);
    value("write at the position", write(mem, "abc", 3));
    say("%.4s", p);
    yes("which moves", lseek(mem, 0, SEEK_CUR) == (off_t)(uintptr_t)p + 3);
    value("pwrite", pwrite(mem, "xyz", 3, (off_t)(uintptr_t)p + 8));
    say("%.3s", p + 8);

    unlink("f");
    return 0;
}
