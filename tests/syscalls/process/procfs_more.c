/* What libraries and runtimes look up in /proc and /sys: smaps, threads' folders, limits, the machine's settings. */
#include "observe.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static char text[1 << 18];

static long field(const char *from, const char *name)
{
    char *at = strstr(from, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* The part of smaps that begins with an address. */
static char *area(const void *address)
{
    char start[32];
    snprintf(start, sizeof start, "%08lx-", (unsigned long)address);
    return strstr(text, start);
}

/* The names of the rows of an area. */
static void rows(char *at)
{
    printf("rows:");
    for (at = strchr(at, '\n'); at && at[1] >= 'A' && at[1] <= 'Z'; at = strchr(at + 1, '\n')) {
        int length = (int)strcspn(at + 1, ":");
        if (strncmp(at + 1, "ProtectionKey", 13))
            printf(" %.*s", length, at + 1);
    }
    say(" ");
}

static void flags(const char *what, char *at)
{
    at = strstr(at, "VmFlags:");
    printf("%s:", what);
    static const char *known[] = {" rd", " wr", " ex", " sh", " mr", " mw", " me", " ms", " gd", " lo", " sr", " rr", " dc", " wf", " dd"};
    char line[256] = {0};
    memcpy(line, at, strcspn(at, "\n") < 255 ? strcspn(at, "\n") : 255);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(line, known[i]))
            printf("%s", known[i]);
    say(" ");
}

static volatile int go;
static pid_t other;
static void *thread(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "second");
    other = (pid_t)syscall(SYS_gettid);
    while (!go)
        sleep_ms(1);
    return NULL;
}

static void same_line(const char *path, const char *wanted)
{
    slurp(path, text, sizeof text);
    size_t length = strlen(wanted);
    yes(path, !strncmp(text, wanted, length) && text[length] == '\n' && text[length + 1] == 0);
}

int main(void)
{
    char path[128], wanted[128];
    say("-- smaps");
    char *m = fresh(32 * PAGE), *hole = m + 16 * PAGE;
    munmap(hole, PAGE);
    munmap(m, PAGE);
    m += PAGE;
    memset(m, 1, 15 * PAGE);
    mlock(m, 2 * PAGE);
    madvise(m + 4 * PAGE, PAGE, MADV_DONTDUMP);
    madvise(m + 6 * PAGE, PAGE, MADV_RANDOM);
    mprotect(m + 8 * PAGE, 2 * PAGE, PROT_NONE);
    int file = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(file, 4 * PAGE);
    char *s = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    slurp("/proc/self/smaps", text, sizeof text);
    yes("an area", area(m) != NULL);
    rows(area(m));
    say("size %ld rss %ld locked %ld", field(area(m), "\nSize:"), field(area(m), "\nRss:"), field(area(m), "\nLocked:"));
    say("page sizes %ld %ld", field(area(m), "KernelPageSize:"), field(area(m), "MMUPageSize:"));
    flags("locked", area(m));
    flags("plain", area(m + 2 * PAGE));
    flags("not dumped", area(m + 4 * PAGE));
    flags("at random", area(m + 6 * PAGE));
    flags("no access", area(m + 8 * PAGE));
    flags("shared", area(s));
    yes("a stack", strstr(text, "[stack]") != NULL);
    slurp("/proc/self/smaps_rollup", text, sizeof text);
    yes("the sum", strstr(text, "[rollup]") != NULL && field(text, "\nRss:") >= 60 && field(text, "\nLocked:") == 8);
    say("no sizes: %d", strstr(text, "\nSize:") == NULL);

    say("-- threads");
    pthread_t t;
    pthread_create(&t, NULL, thread, NULL);
    while (!other)
        sleep_ms(1);
    int count = 0, mine = 0, theirs = 0;
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.') {
            count++;
            mine |= atoi(e->d_name) == getpid();
            theirs |= atoi(e->d_name) == other;
        }
    say("%d tasks, %d %d", count, mine, theirs);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", other);
    value("comm", slurp(path, text, sizeof text));
    say("%s", text);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", other);
    slurp(path, text, sizeof text);
    yes("stat", atoi(text) == other && strstr(text, "(second)"));
    snprintf(path, sizeof path, "/proc/self/task/%d/status", other);
    slurp(path, text, sizeof text);
    yes("status", field(text, "\nPid:\t") == other && field(text, "\nTgid:\t") == getpid());
    snprintf(path, sizeof path, "/proc/%d/task/%d/maps", getpid(), other);
    yes("maps", slurp(path, text, sizeof text) > 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/smaps", other);
    yes("smaps", slurp(path, text, sizeof text) > 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/fd/0", other);
    value("fd", access(path, F_OK));
    snprintf(path, sizeof path, "/proc/self/task/%d/task", other);
    value("no task within", access(path, F_OK));
    value("nobody's", access("/proc/self/task/999999", F_OK));
    value("a thread's folder is there", (snprintf(path, sizeof path, "/proc/%d", other), access(path, F_OK)));
    int of_thread = open((snprintf(path, sizeof path, "/proc/self/task/%d/comm", other), path), O_RDONLY);
    go = 1;
    pthread_join(t, NULL);
    value("gone", access(path, F_OK));
    value("a file of it", read(of_thread, text, 10));

    say("-- limits and environment");
    setenv("LATER", "not seen", 1);
    slurp("/proc/self/environ", text, sizeof text);
    yes("environ ends with NUL and is the first one", !memmem(text, 1 << 16, "LATER", 5));
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){111, 222});
    slurp("/proc/self/limits", text, sizeof text);
    char *at = strstr(text, "Max open files");
    say("%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
    at = strstr(text, "Max cpu time");
    say("%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");

    say("-- the machine");
    struct utsname u;
    uname(&u);
    same_line("/proc/sys/kernel/osrelease", u.release);
    same_line("/proc/sys/kernel/version", u.version);
    same_line("/proc/sys/kernel/ostype", u.sysname);
    same_line("/proc/sys/kernel/hostname", u.nodename);
    snprintf(wanted, sizeof wanted, "%s version %s ", u.sysname, u.release);
    slurp("/proc/version", text, sizeof text);
    yes("/proc/version", !strncmp(text, wanted, strlen(wanted)));
    slurp("/proc/uptime", text, sizeof text);
    double up = 0, idle = -1;
    say("uptime %d", sscanf(text, "%lf %lf", &up, &idle));
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    yes("agrees with the clock", (double)now.tv_sec - up < 2 && up - (double)now.tv_sec < 2);
    slurp("/proc/loadavg", text, sizeof text);
    double load[3];
    int running, all, last;
    say("loadavg %d", sscanf(text, "%lf %lf %lf %d/%d %d", load, load + 1, load + 2, &running, &all, &last));
    yes("some run", running >= 1 && all >= running);
    slurp("/proc/filesystems", text, sizeof text);
    yes("filesystems", strstr(text, "nodev\tproc\n") && strstr(text, "nodev\ttmpfs\n"));
    yes("pid_max", slurp("/proc/sys/kernel/pid_max", text, sizeof text) > 0 && atoi(text) >= 32768);
    value("uuid", slurp("/proc/sys/kernel/random/uuid", text, sizeof text));
    static char first[64];
    strcpy(first, text);
    slurp("/proc/sys/kernel/random/uuid", text, sizeof text);
    yes("another each time", strcmp(first, text));
    value("boot_id", slurp("/proc/sys/kernel/random/boot_id", text, sizeof text));
    strcpy(first, text);
    slurp("/proc/sys/kernel/random/boot_id", text, sizeof text);
    yes("the same each time", !strcmp(first, text));
    yes("entropy", slurp("/proc/sys/kernel/random/entropy_avail", text, sizeof text) > 0 && atoi(text) == 256);
    yes("somaxconn", slurp("/proc/sys/net/core/somaxconn", text, sizeof text) > 0 && atoi(text) >= 128);
    yes("overcommit", slurp("/proc/sys/vm/overcommit_memory", text, sizeof text) == 2);
    yes("mmap_min_addr", slurp("/proc/sys/vm/mmap_min_addr", text, sizeof text) > 0);
    yes("large pages", slurp("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text, sizeof text) > 0 && atoi(text) == 2097152);
    yes("their setting", slurp("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) > 0 && strchr(text, '['));

    say("-- processors");
    static const char *lists[] = {"/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
        "/sys/devices/system/cpu/present", "/sys/devices/system/node/node0/cpulist"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        slurp(lists[i], text, sizeof text);
        yes(lists[i], text[0] == '0' && strlen(text) >= 2 && text[strlen(text) - 1] == '\n');
    }
    same_line("/sys/devices/system/node/online", "0");
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    slurp("/proc/cpuinfo", text, sizeof text);
    int processors = 0;
    for (at = text; (at = strstr(at, "processor\t:")); at++)
        processors++;
    yes("cpuinfo has each", processors == sysconf(_SC_NPROCESSORS_ONLN));
    yes("sysconf agrees", CPU_COUNT(&set) <= sysconf(_SC_NPROCESSORS_ONLN) && sysconf(_SC_NPROCESSORS_ONLN) <= sysconf(_SC_NPROCESSORS_CONF));
    slurp("/proc/stat", text, sizeof text);
    yes("stat", !strncmp(text, "cpu ", 4) && strstr(text, "\ncpu0 ") && strstr(text, "\nbtime "));
    value("nothing there", access("/proc/sys/kernel/none", F_OK));
    return 0;
}
