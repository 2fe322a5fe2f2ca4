/* /proc/self and the machine's files can be parsed and agree with the calls. */
#include "observe.h"
#include <dirent.h>
#include <sys/sysinfo.h>

static char text[1 << 16];

static long field(const char *name)
{
    char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

int main(int argc, char **argv)
{
    (void)argc;
    char path[64], link[256] = {0};
    struct stat st;
    slurp("/proc/self/status", text, sizeof text);
    yes("status Pid", field("Pid:\t") == getpid());
    yes("status Tgid", field("Tgid:\t") == getpid());
    yes("status PPid", field("PPid:\t") == getppid());
    yes("status Threads", field("Threads:\t") == 1);
    yes("status Uid", field("Uid:\t") == getuid());
    yes("status VmRSS", field("VmRSS:\t") > 0 && field("VmSize:\t") >= field("VmRSS:\t"));
    yes("status names", strstr(text, "Name:\t") == text && strstr(text, "State:\tR"));
    yes("status masks", strstr(text, "SigBlk:\t0000000000000000") != NULL);
    slurp("/proc/self/stat", text, sizeof text);
    int pid = 0, parent = 0;
    char state = 0;
    char *behind = strrchr(text, ')');
    sscanf(text, "%d", &pid);
    sscanf(behind + 1, " %c %d", &state, &parent);
    yes("stat", pid == getpid() && state == 'R' && parent == getppid());
    int words = 0;
    for (char *w = strtok(behind + 1, " \n"); w; w = strtok(NULL, " \n"))
        words++;
    say("stat has %d fields behind the name", words);
    slurp("/proc/self/statm", text, sizeof text);
    yes("statm has seven fields", sscanf(text, "%*d %*d %*d %*d %*d %*d %d", &words) == 1);
    slurp("/proc/self/mounts", text, sizeof text);
    yes("mounts has /", strstr(text, " / ") != NULL);
    yes("mounts has /proc", strstr(text, " /proc ") != NULL);
    slurp("/proc/self/environ", text, sizeof text);
    yes("environ", strstr(text, "=") != NULL);
    slurp("/proc/cpuinfo", text, sizeof text);
    int processors = 0;
    for (char *at = text; (at = strstr(at, "processor\t:")); at++)
        processors++;
    say("cpuinfo agrees %d, flags %d", processors == get_nprocs(), strstr(text, "\nflags\t") != NULL);
    slurp("/proc/meminfo", text, sizeof text);
    struct sysinfo info;
    sysinfo(&info);
    yes("meminfo agrees", field("MemTotal:") == (long)(info.totalram * info.mem_unit / 1024));
    yes("meminfo order", field("MemFree:") <= field("MemTotal:") && field("MemAvailable:") <= field("MemTotal:"));
    yes("loadavg", slurp("/proc/loadavg", text, sizeof text) > 0);
    yes("uptime", slurp("/proc/uptime", text, sizeof text) > 0 && atof(text) > 0);
    yes("stat btime", slurp("/proc/stat", text, sizeof text) > 0 && field("btime ") > 1000000000);
    yes("version", slurp("/proc/version", text, sizeof text) > 0 && !strncmp(text, "Linux version ", 14));
    yes("filesystems", slurp("/proc/filesystems", text, sizeof text) > 0 && strstr(text, "tmpfs") != NULL);

    int fd = open("/dev/null", O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    readlink(path, link, sizeof link - 1);
    say("fd link %s", link);
    int p[2];
    pipe(p);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    memset(link, 0, sizeof link);
    readlink(path, link, sizeof link - 1);
    yes("a pipe's link", !strncmp(link, "pipe:[", 6));
    value("stat follows it", stat(path, &st));
    yes("to the pipe", S_ISFIFO(st.st_mode));
    snprintf(path, sizeof path, "/proc/%d/fd", getpid());
    DIR *dir = opendir(path);
    int count = 0;
    while (readdir(dir))
        count++;
    say("%d names in fd", count);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    yes("fdinfo", slurp(path, text, sizeof text) > 0 && field("pos:") == 0);
    value("no such descriptor", open("/proc/self/fd/999", O_RDONLY));
    memset(link, 0, sizeof link);
    readlink("/proc/self/cwd", link, sizeof link - 1);
    char cwd[256];
    yes("cwd", !strcmp(link, getcwd(cwd, sizeof cwd)));
    memset(link, 0, sizeof link);
    readlink("/proc/self/root", link, sizeof link - 1);
    say("root %s", link);
    memset(link, 0, sizeof link);
    readlink("/proc/self", link, sizeof link - 1);
    yes("/proc/self is the pid", atoi(link) == getpid());
    memset(link, 0, sizeof link);
    readlink("/proc/thread-self", link, sizeof link - 1);
    snprintf(path, sizeof path, "%d/task/%d", getpid(), getpid());
    yes("/proc/thread-self", !strcmp(link, path));
    snprintf(path, sizeof path, "/proc/%d", getpid());
    value("stat of it", stat(path, &st));
    yes("a directory", S_ISDIR(st.st_mode));
    value("/proc of nobody", access("/proc/67108863", F_OK));
    value("create in /proc", open("/proc/x", O_CREAT | O_WRONLY, 0600));
    value("mkdir in /proc", mkdir("/proc/x", 0700));
    value("unlink in /proc", unlink("/proc/meminfo"));
    dir = opendir("/proc");
    struct dirent *e;
    int self = 0, me = 0;
    while ((e = readdir(dir))) {
        self |= !strcmp(e->d_name, "self");
        me |= atoi(e->d_name) == getpid();
    }
    say("listed: self %d, the pid %d", self, me);
    int mem = open("/proc/self/mem", O_RDWR);
    if (mem >= 0) {
        value("mem reads", pread(mem, link, 4, (off_t)(uintptr_t)argv[0]));
        yes("the same", !memcmp(link, argv[0], 4));
        value("mem unmapped", pread(mem, link, 4, 8));
    }
    value("sys/kernel/osrelease", slurp("/proc/sys/kernel/osrelease", text, sizeof text) > 0);
    value("sys/vm/overcommit_memory", slurp("/proc/sys/vm/overcommit_memory", text, sizeof text) > 0);
    value("sys/kernel/pid_max", slurp("/proc/sys/kernel/pid_max", text, sizeof text) > 0);
    value("/sys/devices/system/cpu/online", slurp("/sys/devices/system/cpu/online", text, sizeof text) > 0);
    return 0;
}
