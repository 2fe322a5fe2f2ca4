/* Maps a vDSO image natively behind a page of numbers, finds its functions as a dynamic linker does, and compares
 * what they say with the kernel. Prints nothing when all is well. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>
#include <x86intrin.h>

static char *image;
static volatile uint64_t *numbers;
static int failures;

#define CHECK(what, condition)                                    \
    do {                                                          \
        if (!(condition)) {                                       \
            printf("line %d: %s\n", __LINE__, what);              \
            failures++;                                           \
        }                                                         \
    } while (0)

static unsigned sysv(const char *s)
{
    unsigned h = 0, g;
    for (; *s; s++) {
        h = (h << 4) + (unsigned char)*s;
        g = h & 0xf0000000;
        h = (h ^ g >> 24) & ~g;
    }
    return h;
}

static unsigned gnu(const char *s)
{
    unsigned h = 5381;
    for (; *s; s++)
        h = h * 33 + (unsigned char)*s;
    return h;
}

static uint64_t dynamic(int64_t tag)
{
    Elf64_Phdr *p = (void *)(image + ((Elf64_Ehdr *)image)->e_phoff);
    while (p->p_type != PT_DYNAMIC)
        p++;
    for (Elf64_Dyn *d = (void *)(image + p->p_vaddr); d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag)
            return d->d_un.d_val;
    abort();
}

/* By both hash tables; the version must be Linux's. */
static void *find(const char *name)
{
    Elf64_Sym *symbols = (void *)(image + dynamic(DT_SYMTAB));
    const char *strings = image + dynamic(DT_STRTAB);
    const uint32_t *hash = (void *)(image + dynamic(DT_HASH));
    uint32_t old = hash[2 + sysv(name) % hash[0]];
    while (old && strcmp(strings + symbols[old].st_name, name))
        old = hash[2 + hash[0] + old];
    const uint32_t *g = (void *)(image + dynamic(DT_GNU_HASH));
    uint64_t filter = *(uint64_t *)(g + 4);
    uint32_t h = gnu(name), at = g[6];
    CHECK(name, filter >> h % 64 & 1 && filter >> (h >> g[3]) % 64 & 1);
    for (const uint32_t *chain = g + 7;; at++) {
        uint32_t c = chain[at - g[1]];
        if ((c | 1) == (h | 1) && !strcmp(strings + symbols[at].st_name, name))
            break;
        if (c & 1) {
            at = 0;
            break;
        }
    }
    CHECK(name, old && old == at);
    const uint16_t *versions = (void *)(image + dynamic(DT_VERSYM));
    Elf64_Verdef *d = (void *)(image + dynamic(DT_VERDEF));
    while (d->vd_ndx != versions[old])
        d = (void *)((char *)d + d->vd_next);
    Elf64_Verdaux *a = (void *)((char *)d + d->vd_aux);
    CHECK(name, d->vd_hash == 61765110 && !strcmp(strings + a->vda_name, "LINUX_2.6"));
    return image + symbols[old].st_value;
}

static uint64_t ns(struct timespec t) { return t.tv_sec * 1000000000ull + t.tv_nsec; }

static uint64_t native(int clock)
{
    struct timespec t;
    syscall(SYS_clock_gettime, clock, &t);
    return ns(t);
}

static void calibrate(void)
{
    uint64_t m0 = native(CLOCK_MONOTONIC), t0 = __rdtsc();
    usleep(200000);
    uint64_t m1 = native(CLOCK_MONOTONIC), t1 = __rdtsc();
    numbers[1] = t1;
    numbers[2] = (uint64_t)(((unsigned __int128)(m1 - m0) << 32) / (t1 - t0));
    numbers[3] = m1;
    numbers[4] = native(CLOCK_REALTIME) - native(CLOCK_MONOTONIC);
    numbers[5] = 0;
    numbers[6] = 1;
}

static int frames, saw_here;
static __attribute__((noinline)) void here(void)
{
    raise(SIGUSR1);
    __asm__ volatile("");
}
static _Unwind_Reason_Code count(struct _Unwind_Context *c, void *unused)
{
    (void)unused;
    uintptr_t ip = _Unwind_GetIP(c);
    saw_here |= ip > (uintptr_t)here && ip < (uintptr_t)here + 64;
    return ++frames > 50 ? _URC_END_OF_STACK : _URC_NO_REASON;
}
static void handler(int signal)
{
    (void)signal;
    _Unwind_Backtrace(count, NULL);
}

extern void __register_frame(void *);

int main(int argc, char **argv)
{
    (void)argc;
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    numbers = (void *)pages;
    image = pages + 4096;
    int fd = open(argv[1], O_RDONLY);
    if (read(fd, image, 4096) <= 0)
        return 2;
    mprotect(image, 4096, PROT_READ | PROT_EXEC);
    int (*gettime)(int, struct timespec *) = find("__vdso_clock_gettime");
    int (*getres)(int, struct timespec *) = find("__vdso_clock_getres");
    int (*day)(struct timeval *, struct timezone *) = find("__vdso_gettimeofday");
    time_t (*seconds)(time_t *) = find("__vdso_time");
    int (*cpu)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");
    CHECK("weak name", find("clock_gettime") == (void *)gettime);
    calibrate();

    static const int clocks[] = {0, 1, 5, 6};
    for (unsigned i = 0; i < 4; i++) {
        struct timespec t = {0};
        uint64_t before = native(clocks[i] == 5 ? 0 : clocks[i] == 6 ? 1 : clocks[i]);
        CHECK("result", gettime(clocks[i], &t) == 0);
        int64_t off = ns(t) - before;
        CHECK("near the kernel's clock", off > -20000000 && off < 20000000);
        CHECK("nanoseconds", t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    }
    for (int clock = 2; clock <= 3; clock++) {
        struct timespec t = {0};
        CHECK("processor time by a call", gettime(clock, &t) == 0 && ns(t) > 0 && ns(t) < 5000000000);
    }
    struct timespec t, last = {0};
    static const int wrong[] = {10, 12, 31, 32, 33, 64, 1 << 20, -1, -1000, INT32_MIN};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int ours = gettime(wrong[i], &t), linux_ = syscall(SYS_clock_gettime, wrong[i], &t) < 0 ? -errno : 0;
        CHECK("a clock that there is not", ours == linux_);
    }
    for (int i = 0; i < 1000000; i++) {
        gettime(CLOCK_MONOTONIC, &t);
        if (ns(t) < ns(last))
            CHECK("backwards", 0);
        last = t;
    }
    struct timeval v;
    struct timezone z = {5, 5};
    CHECK("gettimeofday", day(&v, &z) == 0 && z.tz_minuteswest == 0 && z.tz_dsttime == 0);
    gettime(CLOCK_REALTIME, &t);
    int64_t apart = ns(t) / 1000 - (v.tv_sec * 1000000ull + v.tv_usec);
    CHECK("gettimeofday is REALTIME", apart >= 0 && apart < 10000 && v.tv_usec < 1000000);
    CHECK("nothing wanted", day(NULL, NULL) == 0 && day(NULL, &z) == 0 && day(&v, NULL) == 0);
    time_t when = 0, now = seconds(&when);
    CHECK("time", now == when && now - t.tv_sec <= 1 && now >= t.tv_sec && seconds(NULL) >= now);
    CHECK("getres", getres(1, &t) == 0 && ns(t) == 1 && getres(1, NULL) == 0 && getres(77, &t) == -EINVAL);
    CHECK("getres of processor time", getres(2, &t) == 0 && ns(t) == 1);

    unsigned number = 7, node = 7;
    CHECK("getcpu in a block", cpu(&number, &node, NULL) == 0 && number == 0 && node == 0 && !cpu(NULL, NULL, NULL));
    numbers[6] = 0;
    number = 7;
    CHECK("getcpu by a call", cpu(&number, &node, NULL) == 0 && number < 4096);
    numbers[1] = UINT64_MAX;
    gettime(CLOCK_MONOTONIC, &t);
    CHECK("before the origin it is the origin", ns(t) == numbers[3]);
    calibrate();

    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } action = {
        (void *)handler, 0x04000000, find("__kernel_rt_sigreturn"), 0};
    Elf64_Phdr *p = (void *)(image + ((Elf64_Ehdr *)image)->e_phoff);
    while (p->p_type != PT_GNU_EH_FRAME)
        p++;
    char *header = image + p->p_vaddr;
    __register_frame(header + 4 + *(int32_t *)(header + 4));
    syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
    here();
    CHECK("unwound through the signal frame", saw_here && frames > 4);

    uint64_t from = native(CLOCK_MONOTONIC);
    for (int i = 0; i < 10000000; i++)
        gettime(CLOCK_MONOTONIC, &t);
    fprintf(stderr, "clock_gettime: %.1f ns\n", (native(CLOCK_MONOTONIC) - from) / 1e7);
    return failures != 0;
}
