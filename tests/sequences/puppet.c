/* Makes the system calls that a script names, and prints what each of them came to.

   puppet FOLDER < SCRIPT, where a line of the script is one of

     R                  begin anew: the folder's files, descriptors, mappings and signals as they were
     D ADDRESS HEX      put bytes into memory
     S ADDRESS LENGTH   print bytes of memory
     C NUMBER ARGUMENT… [=K]   a system call; an argument is a number, or $K for the result kept as K

   All addresses are fixed, so that the script can name them. It runs as nobody, without capabilities,
   wherever it is started by root: what only an administrator may do is refused. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Far from where a program, its heap and its stack may lie. */
static const unsigned long ARENA = 0x10020000000, READ_ONLY = 0x10020200000, EDGE = 0x10020300000, SLOTS = 0x10021000000;
enum { ARENA_SIZE = 1 << 20, SLOTS_SIZE = 4 << 20 };
enum { KEPT = 32, PAGE = 4096, NOBODY = 65534 };

static const char *folder;
static long kept[KEPT];
static volatile sig_atomic_t seen;

static void note(int number) { seen = number; }

static void fail(const char *what)
{
    printf("the puppet cannot go on: %s: %s\n", what, strerrorname_np(errno));
    fflush(stdout);
    _exit(3);
}

static void map(unsigned long address, size_t size, int protection)
{
    if (mmap((void *)address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) fail("mmap");
}

static void empty(int directory)
{
    DIR *list = fdopendir(directory);
    struct dirent *entry;
    while (list && (entry = readdir(list))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (unlinkat(directory, entry->d_name, 0) == 0) continue;
        fchmodat(directory, entry->d_name, 0700, 0);
        int below = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (below >= 0) empty(below);
        unlinkat(directory, entry->d_name, AT_REMOVEDIR);
    }
    if (list) closedir(list);
}

static void expect(int descriptor, int number)
{
    if (descriptor < 0) fail("a descriptor");
    if (descriptor == number) return;
    if (dup2(descriptor, number) != number) fail("dup2");
    close(descriptor);
}

static void pair(int ends[2], int first)
{
    /* Out of the way first, so that neither end lies where the other has to go. */
    int a = fcntl(ends[0], F_DUPFD, 100), b = fcntl(ends[1], F_DUPFD, 100);
    close(ends[0]);
    close(ends[1]);
    expect(a, first);
    expect(b, first + 1);
}

static void begin(void)
{
    static char content[2 * PAGE];
    int ends[2];
    struct itimerval off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &off, NULL);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    setitimer(ITIMER_PROF, &off, NULL);
    close_range(3, ~0U, 0);
    umask(022);
    chmod(folder, 0755);
    if (chdir(folder)) fail(folder);
    empty(open(".", O_RDONLY | O_DIRECTORY));
    for (size_t i = 0; i < sizeof content; i++) content[i] = "abcdefghij"[i % 10];

    expect(open("f", O_RDWR | O_CREAT, 0644), 3);
    if (write(3, content, sizeof content) != sizeof content) fail("write");
    lseek(3, 0, SEEK_SET);
    expect(open("f", O_RDONLY), 4);
    expect(open("g", O_WRONLY | O_CREAT, 0600), 5);
    mkdir("d", 0755);
    close(open("d/e", O_RDWR | O_CREAT, 0644));
    if (symlink("f", "l") || symlink("loop", "loop") || mkfifo("q", 0644)) fail("names");
    expect(open(".", O_RDONLY | O_DIRECTORY), 6);
    expect(open("f", O_PATH), 7);
    if (pipe2(ends, O_NONBLOCK)) fail("pipe");
    pair(ends, 8);
    if (write(9, content, 100) != 100) fail("pipe");
    expect(eventfd(5, EFD_NONBLOCK), 10);
    expect(epoll_create1(0), 11);
    struct epoll_event event = {EPOLLIN, {.u64 = 77}};
    epoll_ctl(11, EPOLL_CTL_ADD, 10, &event);
    expect(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), 12);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) fail("socketpair");
    pair(ends, 13);
    if (write(14, content, 50) != 50) fail("socketpair");
    expect(memfd_create("m", MFD_ALLOW_SEALING), 15);
    if (write(15, content, sizeof content) != sizeof content) fail("memfd");
    lseek(15, 0, SEEK_SET);
    sigset_t all;
    sigemptyset(&all);
    sigaddset(&all, SIGUSR2);
    expect(signalfd(-1, &all, SFD_NONBLOCK), 16);
    if (pipe2(ends, O_NONBLOCK)) fail("pipe");
    pair(ends, 17);

    map(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE);
    map(READ_ONLY, PAGE, PROT_READ);
    map(EDGE, PAGE, PROT_READ | PROT_WRITE);
    munmap((void *)(EDGE + PAGE), PAGE);
    munmap((void *)SLOTS, SLOTS_SIZE);
    map(SLOTS, 16 * PAGE, PROT_READ | PROT_WRITE);

    for (int number = 1; number < 65; number++) {
        struct sigaction action = {.sa_handler = note, .sa_flags = 0};
        if (number == 32 || number == 33 || number == SIGKILL || number == SIGSTOP) continue;
        if (number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE) action.sa_flags = SA_RESETHAND; /* sent: seen; from the processor: the second time it ends */
        sigaction(number, &action, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct itimerspec no_timer = {{0, 0}, {0, 0}};
    timerfd_settime(12, 0, &no_timer, NULL);
    memset(kept, 0xff, sizeof kept);
}

static long number(char *word)
{
    if (*word == '$') return kept[strtoul(word + 1, NULL, 10) % KEPT];
    return *word == '-' ? strtol(word, NULL, 0) : (long)strtoul(word, NULL, 0);
}

static void call(char *line)
{
    /* What waits is interrupted, again and again in case the first one comes too early. */
    struct itimerval soon = {{0, 50000}, {0, 200000}}, off = {{0, 0}, {0, 0}};
    long words[7] = {0}, keep = -1;
    int count = 0;
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
        if (*word == '=') keep = strtol(word + 1, NULL, 10);
        else if (count < 7) words[count++] = number(word);
    seen = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
    errno = 0;
    long result = syscall(words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
    int error = errno;
    setitimer(ITIMER_REAL, &off, NULL);
    if (keep >= 0) kept[keep % KEPT] = result;
    if (result == -1 && error) printf("%s", strerrorname_np(error) ? strerrorname_np(error) : "unknown");
    else printf("%ld", result);
    if (seen) printf(" signal %d", (int)seen);
    printf("\n");
}

static void data(char *line)
{
    char *text;
    unsigned char *to = (unsigned char *)strtoul(line, &text, 0);
    unsigned byte;
    for (text++; sscanf(text, "%2x", &byte) == 1; text += 2) *to++ = byte;
}

static void show(char *line)
{
    char *text;
    const unsigned char *from = (const unsigned char *)strtoul(line, &text, 0);
    for (unsigned long left = strtoul(text, NULL, 0); left; left--) printf("%02x", *from++);
    printf("\n");
}

static void become_nobody(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    mkdir(folder, 0755);
    if (geteuid() == 0) {
        gid_t group = NOBODY;
        if (chown(folder, NOBODY, NOBODY) || setgroups(1, &group) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)) fail("setresuid");
    }
    if (syscall(SYS_capset, &header, none) || prctl(PR_SET_DUMPABLE, 1)) fail("capset");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no_new_privs");
    struct rlimit length = {64 << 20, 64 << 20}, core = {0, 0}, space = {4L << 30, 4L << 30};
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){256, 256});
    setrlimit(RLIMIT_FSIZE, &length);
    setrlimit(RLIMIT_CORE, &core);
    setrlimit(RLIMIT_AS, &space);
}

int main(int count, char **arguments)
{
    static char line[1 << 16];
    static char script[4 << 20];
    if (count != 2) return 2;
    folder = arguments[1];
    become_nobody();
    /* The script is read before anything can happen to descriptor 0. */
    size_t size = fread(script, 1, sizeof script - 1, stdin);
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    begin();
    for (char *at = script, *end; at < script + size; at = end + 1) {
        end = strchr(at, '\n');
        if (!end || end - at >= (long)sizeof line) break;
        memcpy(line, at, end - at);
        line[end - at] = 0;
        if (*line == 'R') begin();
        else if (*line == 'D') data(line + 1);
        else if (*line == 'S') show(line + 1);
        else if (*line == 'C') call(line + 1);
        if (*line == 'C' || *line == 'S') fflush(stdout);
    }
    printf("the end\n");
    fflush(stdout);
    _exit(0);
}
