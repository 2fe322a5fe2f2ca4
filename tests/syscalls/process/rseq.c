// build: static musl
/* rseq: registration, fields, sequences that are aborted by signals, by barriers and by others' turns. */
#include "observe.h"
#include <elf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#ifdef __GLIBC__
#include <sys/rseq.h>
#endif

/* musl has no linux/membarrier.h. */
#define BARRIER 128
#define REGISTER_BARRIER 256
#define SIGNATURE 0x53053053
#define THREADS 4
#define ROUNDS 20000

struct area {
    uint32_t cpu_id_start, cpu_id;
    uint64_t sequence;
    uint32_t flags, node_id, mm_cid, unused;
} __attribute__((aligned(32)));

struct description {
    uint32_t version, flags;
    uint64_t start, length, abort;
} __attribute__((aligned(32)));

static long rseq(void *area, long size, int flags, uint32_t signature)
{
    return syscall(SYS_rseq, area, size, flags, signature);
}

/* The C library's own registration goes, if it has one. */
static void unregister_library(void)
{
#ifdef __GLIBC__
    if (__rseq_size)
        rseq((char *)__builtin_thread_pointer() + __rseq_offset, 32, 1, SIGNATURE);
#endif
}

static volatile int spins, stop;
static uintptr_t spin_start, spin_end, spin_abort;

/* Spins in a sequence until it is aborted. */
__attribute__((noinline)) static void spin(struct area *a)
{
    __asm__ volatile(
        ".pushsection .data.sequences, \"aw\"\n\t.balign 32\n"
        "9:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"
        "lea 1f(%%rip), %%rax\n\tmov %%rax, %[start]\n\tlea 2f(%%rip), %%rax\n\tmov %%rax, %[end]\n\t"
        "lea 4f(%%rip), %%rax\n\tmov %%rax, %[abort]\n\t"
        "lea 9b(%%rip), %%rax\n\tmov %%rax, 8(%[a])\n"
        "1:\tincl %[spins]\n\tpause\n\tjmp 1b\n"
        "2:\tjmp 5f\n\t.byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n"
        "4:\n5:\n"
        : [spins] "+m"(spins), [start] "=m"(spin_start), [end] "=m"(spin_end), [abort] "=m"(spin_abort)
        : [a] "r"(a) : "rax", "memory", "cc");
}

/* Adds one to this CPU's counter, or gives up. */
__attribute__((noinline)) static int add(struct area *a, volatile long *counters)
{
    int done = 0;
    __asm__ volatile(
        ".pushsection .data.sequences, \"aw\"\n\t.balign 32\n"
        "9:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"
        "lea 9b(%%rip), %%rax\n\tmov %%rax, 8(%[a])\n"
        "1:\tmov (%[a]), %%ecx\n\tcmp 4(%[a]), %%ecx\n\tjne 4f\n\t"
        "shl $6, %%rcx\n\tmov (%[counters], %%rcx), %%rdx\n\tmov $2000, %%eax\n"
        "3:\tdec %%eax\n\tjnz 3b\n\t"
        "inc %%rdx\n\tmov %%rdx, (%[counters], %%rcx)\n"
        "2:\tmovl $1, %[done]\n\tjmp 5f\n\t.byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n"
        "4:\n5:\n"
        : [done] "+m"(done) : [a] "r"(a), [counters] "r"(counters) : "rax", "rcx", "rdx", "memory", "cc");
    return done;
}

static struct area area, *mine;
static volatile int handled, at_abort, cleared;
static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    uintptr_t ip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    handled++;
    at_abort = ip == spin_abort;
    cleared = mine->sequence == 0;
}

static void *disturb(void *thread)
{
    unregister_library();
    while (!spins)
        sched_yield();
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static void *barrier(void *thread)
{
    (void)thread;
    unregister_library();
    while (!spins)
        sched_yield();
    syscall(SYS_membarrier, BARRIER, 0, 0);
    return NULL;
}

static volatile long counters[1024][8];
static void *count(void *unused)
{
    static __thread struct area own;
    (void)unused;
    unregister_library();
    if (rseq(&own, 32, 0, SIGNATURE))
        return (void *)-1L;
    for (int i = 0; i < ROUNDS; i++)
        while (!add(&own, &counters[0][0]))
            ;
    long bad = own.cpu_id != own.cpu_id_start || own.node_id > 64 || own.mm_cid >= 1024;
    return (void *)(bad + (rseq(&own, 32, 1, SIGNATURE) != 0));
}

static void *inherits(void *unused)
{
    (void)unused;
    unregister_library();
    value("a new thread has none", rseq(&area, 32, 1, SIGNATURE));
    return NULL;
}

int main(void)
{
    yes("AT_RSEQ_FEATURE_SIZE", getauxval(27) >= 20);
    say("AT_RSEQ_ALIGN %ld", (long)getauxval(28));
    unregister_library();
    char *m = fresh(2 * PAGE);
    value("unaligned", rseq(m + 1, 32, 0, SIGNATURE));
    value("aligned to 16", rseq(m + 16, 32, 0, SIGNATURE));
    value("unknown flag", rseq(m, 32, 64, SIGNATURE));
    value("too small", rseq(m, 16, 0, SIGNATURE));
    value("too small by 4", rseq(m, 28, 0, SIGNATURE));
    value("kernel memory", rseq((void *)0xffff888000000000, 32, 0, SIGNATURE));
    value("none to unregister", rseq(m, 32, 1, SIGNATURE));
    value("unregister nothing", rseq(NULL, 32, 1, SIGNATURE));

    mine = &area;
    area.cpu_id = 0xffffffff;
    area.sequence = 0x1234;
    area.unused = 77;
    value("register", rseq(&area, 32, 0, SIGNATURE));
    yes("a CPU", area.cpu_id == area.cpu_id_start && area.cpu_id < 1024);
    yes("a node and an id", area.node_id == 0 && area.mm_cid < 1024);
    say("sequence %ld, behind %u, flags %u", (long)area.sequence, area.unused, area.flags);
    value("again", rseq(&area, 32, 0, SIGNATURE));
    value("again, another size", rseq(&area, 64, 0, SIGNATURE));
    value("again, another place", rseq(m, 32, 0, SIGNATURE));
    value("again, another signature", rseq(&area, 32, 0, 1));
    value("unregister, another signature", rseq(&area, 32, 1, 1));
    value("unregister, another size", rseq(&area, 64, 1, SIGNATURE));
    value("unregister, another place", rseq(m, 32, 1, SIGNATURE));
    value("unregister, more flags", rseq(&area, 32, 3, SIGNATURE));
    pthread_t t[THREADS];
    pthread_create(&t[0], NULL, inherits, NULL);
    pthread_join(t[0], NULL);

    say("-- signals");
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t me = pthread_self();
    pthread_create(&t[0], NULL, disturb, &me);
    spin(&area);
    pthread_join(t[0], NULL);
    /* Another's turn may have come before the signal. */
    say("a signal or another's turn ends it: %d, cleared %d", at_abort || handled == 0 || spins > 0, area.sequence == 0);
    spins = 0;
    struct description *d = (void *)m;
    *d = (struct description){0, 0, (uintptr_t)spin, 1, (uintptr_t)spin_abort};
    area.sequence = (uintptr_t)d;
    raise(SIGUSR1);
    say("outside of it the word is cleared: %d", cleared);

    say("-- barriers");
    value("before registering", syscall(SYS_membarrier, BARRIER, 0, 0));
    value("register", syscall(SYS_membarrier, REGISTER_BARRIER, 0, 0));
    value("one CPU", syscall(SYS_membarrier, BARRIER, 1, 0));
    value("unknown flag", syscall(SYS_membarrier, BARRIER, 2, 0));
    pthread_create(&t[0], NULL, barrier, NULL);
    spin(&area);
    pthread_join(t[0], NULL);
    say("a barrier ends it: %d", spins > 0);

    say("-- turns");
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, count, NULL);
    long bad = 0;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(t[i], &result);
        bad += (long)result;
    }
    long sum = 0;
    for (int i = 0; i < 1024; i++)
        sum += counters[i][0];
    say("sum %ld of %d, bad %ld", sum, THREADS * ROUNDS, bad);

    value("unregister", rseq(&area, 32, 1, SIGNATURE));
    say("cpu %d %d node %u id %u", (int)area.cpu_id_start, (int)area.cpu_id, area.node_id, area.mm_cid);
    value("unregister again", rseq(&area, 32, 1, SIGNATURE));
    mprotect(m, PAGE, PROT_READ);
    value("memory that can't be written", rseq(m, 32, 0, SIGNATURE));
    return 0;
}
