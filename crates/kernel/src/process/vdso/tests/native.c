/* Calls the functions of a vDSO image and compares them with what they should give.
 *
 * usage: native IMAGE; silent and 0 when all is well. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

#define CHECK(what)                                                      \
	do {                                                                 \
		if (!(what)) {                                                   \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			exit(1);                                                     \
		}                                                                \
	} while (0)

struct parameters {
	uint64_t sequence, origin, scale, base, realtime, vcpus, count;
};

static char *image;
static struct parameters *data;

static void *find(const char *name)
{
	Elf64_Ehdr *head = (void *)image;
	Elf64_Phdr *headers = (void *)(image + head->e_phoff);
	Elf64_Sym *symbols = NULL;
	char *strings = NULL;
	uint32_t *hash = NULL;
	for (int i = 0; i < head->e_phnum; i++) {
		if (headers[i].p_type != PT_DYNAMIC)
			continue;
		for (Elf64_Dyn *entry = (void *)(image + headers[i].p_vaddr); entry->d_tag; entry++) {
			void *at = image + entry->d_un.d_ptr;
			if (entry->d_tag == DT_SYMTAB)
				symbols = at;
			if (entry->d_tag == DT_STRTAB)
				strings = at;
			if (entry->d_tag == DT_HASH)
				hash = at;
		}
	}
	for (uint32_t i = 1; i < hash[1]; i++)
		if (!strcmp(strings + symbols[i].st_name, name))
			return image + symbols[i].st_value;
	fprintf(stderr, "no %s\n", name);
	exit(1);
}

static void load(const char *path)
{
	int fd = open(path, O_RDONLY);
	char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fd >= 0 && at != MAP_FAILED);
	data = (void *)at;
	image = at + 4096;
	CHECK(read(fd, image, 4096) > 0);
	CHECK(mprotect(image, 4096, PROT_READ | PROT_EXEC) == 0);
	close(fd);
}

static uint64_t clock_at(uint64_t ticks)
{
	uint64_t passed = ticks > data->origin ? ticks - data->origin : 0;
	return data->base + (uint64_t)(((unsigned __int128)passed * data->scale) >> 32);
}

/* Whether `value` lies between the clock before and after, if that did not wrap. */
static int within(uint64_t value, uint64_t before, uint64_t after)
{
	return value - before <= after - before;
}

static void check_clocks(void)
{
	int (*gettime)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
	int (*timeofday)(struct timeval *, struct timezone *) = find("__vdso_gettimeofday");
	time_t (*seconds)(time_t *) = find("__vdso_time");
	int here[] = {0, 1, 4, 5, 6, 7, 11};
	for (int i = 0; i < 7; i++) {
		int id = here[i];
		uint64_t ahead = id == 0 || id == 5 || id == 11 ? data->realtime : 0;
		struct timespec now = {-1, -1};
		_mm_lfence();
		uint64_t before = clock_at(__rdtsc()) + ahead;
		CHECK(gettime(id, &now) == 0);
		_mm_lfence();
		uint64_t after = clock_at(__rdtsc()) + ahead;
		CHECK(now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
		CHECK(within((uint64_t)now.tv_sec * 1000000000 + now.tv_nsec, before, after));
	}
	struct timeval day = {-1, -1};
	struct timezone zone = {1, 1};
	_mm_lfence();
	uint64_t before = clock_at(__rdtsc()) + data->realtime;
	CHECK(timeofday(&day, &zone) == 0);
	time_t stored = -1, given = seconds(&stored);
	_mm_lfence();
	uint64_t after = clock_at(__rdtsc()) + data->realtime;
	if (after >= before) { /* did not wrap */
		uint64_t micro = (uint64_t)day.tv_sec * 1000000 + day.tv_usec;
		CHECK(micro >= before / 1000 && micro <= after / 1000);
		CHECK(stored == given);
		CHECK((uint64_t)given >= before / 1000000000 && (uint64_t)given <= after / 1000000000);
	}
	CHECK(day.tv_usec >= 0 && day.tv_usec < 1000000);
	CHECK(zone.tz_minuteswest == 0 && zone.tz_dsttime == 0);
	CHECK(timeofday(NULL, NULL) == 0);
	seconds(NULL);
}

static void check_others(void)
{
	int (*gettime)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
	int (*getres)(clockid_t, struct timespec *) = find("__vdso_clock_getres");
	int (*getcpu)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");
	struct timespec time = {-1, -1};
	CHECK(gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 && time.tv_sec >= 0);
	CHECK(gettime(-6, &time) == 0); /* the same by another name */
	CHECK(gettime(99, &time) == -EINVAL);
	CHECK(gettime(1000000, &time) == -EINVAL);
	CHECK(getres(CLOCK_MONOTONIC, &time) == 0 && time.tv_sec == 0 && time.tv_nsec == 1);
	CHECK(getres(CLOCK_BOOTTIME, NULL) == 0);
	CHECK(getres(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
	CHECK(getres(99, NULL) == -EINVAL);
	unsigned cpu = -1, node = -1;
	CHECK(getcpu(&cpu, &node, NULL) == 0 && cpu < 4096);
}

/* What the kernel takes: the C library would put its own restorer in. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static int frames;
static int saw_sender;

extern void __register_frame(void *);

__attribute__((noinline)) static void sender(void)
{
	kill(getpid(), SIGUSR1);
	__asm__ volatile("" ::: "memory");
}

static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *unused)
{
	(void)unused;
	frames++;
	if (_Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(context)) == (void *)sender)
		saw_sender = 1;
	return _URC_NO_REASON;
}

static void handler(int number)
{
	(void)number;
	_Unwind_Backtrace(count, NULL);
}

static void check_unwinding(void)
{
	Elf64_Ehdr *head = (void *)image;
	Elf64_Phdr *headers = (void *)(image + head->e_phoff);
	for (int i = 0; i < head->e_phnum; i++) {
		if (headers[i].p_type != PT_GNU_EH_FRAME)
			continue;
		char *table = image + headers[i].p_vaddr;
		__register_frame(table + 4 + *(int32_t *)(table + 4));
	}
	struct kernel_action action = {handler, 0x04000000, find("__kernel_rt_sigreturn"), 0};
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8) == 0);
	sender();
	CHECK(frames >= 4);
	CHECK(saw_sender);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	load(argv[1]);
	/* GS is 0 here, so the vCPU is never known. */
	struct parameters real = {0, __rdtsc(), 1790000000, 12345678901234, 1700000000000000000, 1, 1};
	*data = real;
	for (int i = 0; i < 1000; i++)
		check_clocks();
	srandom(1);
	for (int i = 0; i < 100000; i++) {
		uint64_t wide = (uint64_t)random() << 33 ^ (uint64_t)random() << 16 ^ random();
		data->base = wide >> (random() % 64);
		data->realtime = wide * 77;
		data->origin = __rdtsc() + random() % 3 - 1;
		data->scale = (uint64_t)random() << 3;
		check_clocks();
	}
	data->origin = UINT64_MAX; /* ticks that seem to run backwards */
	data->base = 1000;
	check_clocks();
	*data = real;
	check_others();
	check_unwinding();
	return 0;
}
