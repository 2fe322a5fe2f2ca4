/* Signals and threads: to one thread, to the process, masks of threads, handlers shared. */
#include "observe.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static atomic_int by[4], ready, stop;
static __thread int me;

static void on(int signal) { (void)signal; by[me]++; }

static void *run(void *argument)
{
    me = (int)(long)argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(me == 2 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
    ready++;
    while (!stop)
        sleep_ms(1);
    return NULL;
}

int main(void)
{
    struct sigaction a = {.sa_handler = on};
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR2, &a, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_t threads[4];
    for (long i = 1; i < 4; i++)
        pthread_create(&threads[i], NULL, run, (void *)i);
    while (ready < 3)
        sleep_ms(1);
    for (int i = 0; i < 5; i++) {
        int before = by[2];
        kill(getpid(), SIGUSR1);
        for (int k = 0; k < 1000 && by[2] == before; k++)
            sleep_ms(1);
    }
    say("to the process, only thread 2 takes it: %d %d %d %d", by[0], by[1], by[2], by[3]);
    for (int i = 0; i < 4; i++)
        by[i] = 0;
    pthread_kill(threads[1], SIGUSR2);
    pthread_kill(threads[3], SIGUSR2);
    pthread_kill(threads[3], 0);
    while (by[1] + by[3] < 2)
        sleep_ms(1);
    say("to threads: %d %d %d %d", by[0], by[1], by[2], by[3]);
    pthread_kill(threads[1], SIGUSR1);
    sleep_ms(20);
    say("blocked there: %d", by[1]);
    sigset_t pending;
    sigpending(&pending);
    say("not pending here: %d", sigismember(&pending, SIGUSR1));
    pthread_kill(pthread_self(), SIGUSR1);
    sigpending(&pending);
    say("pending here: %d", sigismember(&pending, SIGUSR1));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    say("delivered when unblocked: %d", by[0]);
    stop = 1;
    for (int i = 1; i < 4; i++)
        pthread_join(threads[i], NULL);
    value("tgkill of a dead thread's group", syscall(SYS_tgkill, getpid(), getpid(), 0));
    return 0;
}
