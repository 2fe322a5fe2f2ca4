/* What lives through execve: descriptors without FD_CLOEXEC, masks, ignored signals, cwd, pid, limits; what does not. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static void handler(int signal) { (void)signal; }
static void *idle(void *unused) { (void)unused; for (;;) pause(); }

int main(int argc, char **argv)
{
    if (argc < 2) {
        char pid[32];
        snprintf(pid, sizeof pid, "%d", getpid());
        mkdir("d", 0755);
        chdir("d");
        umask(031);
        put_text("f", "0123456789");
        int keep = open("f", O_RDWR), gone = open("f", O_RDWR | O_CLOEXEC);
        dup2(keep, 20);
        dup3(gone, 21, O_CLOEXEC);
        lseek(20, 4, SEEK_SET);
        signal(SIGUSR1, SIG_IGN);
        signal(SIGUSR2, handler);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGHUP);
        struct rlimit limit = {77, 99};
        setrlimit(RLIMIT_NOFILE, &limit);
        alarm(100);
        static char stack[65536];
        stack_t alternate = {stack, 0, sizeof stack};
        sigaltstack(&alternate, NULL);
        pthread_t thread;
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, idle, NULL);
        setenv("GIVEN", "yes", 1);
        char *args[] = {"renamed", pid, NULL};
        execve("/proc/self/exe", args, (char *[]){"GIVEN=yes", NULL});
        say("execve: %s", errno_name(errno));
        return 1;
    }
    char buffer[16] = {0}, *slash, cwd[4096];
    yes("the pid", getpid() == atoi(argv[1]));
    say("argv[0] %s, GIVEN %s, HOME %s", argv[0], getenv("GIVEN"), getenv("HOME"));
    getcwd(cwd, sizeof cwd);
    slash = strrchr(cwd, '/');
    say("cwd ends %s, umask %o", slash, umask(0));
    value("kept descriptor reads on", read(20, buffer, 16));
    say("%s", buffer);
    value("closed on exec", read(21, buffer, 1));
    struct sigaction a;
    sigaction(SIGUSR1, NULL, &a);
    yes("ignored stays ignored", a.sa_handler == SIG_IGN);
    sigaction(SIGUSR2, NULL, &a);
    yes("handled is default again", a.sa_handler == SIG_DFL);
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    yes("mask stays", sigismember(&set, SIGWINCH) && sigismember(&set, SIGHUP));
    sigpending(&set);
    yes("pending stays", sigismember(&set, SIGHUP));
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    say("limits %ld %ld", (long)limit.rlim_cur, (long)limit.rlim_max);
    yes("the alarm goes on", alarm(0) > 90);
    stack_t alternate;
    sigaltstack(NULL, &alternate);
    yes("the alternate stack does not", alternate.ss_flags & SS_DISABLE);
    int threads = 0;
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (fgets(line, sizeof line, status))
        sscanf(line, "Threads: %d", &threads);
    say("threads %d", threads);
    return 0;
}
