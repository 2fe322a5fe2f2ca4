/* prctl: each option that is there, its argument's limits, and those of other machines.
 *
 * CAP_SYS_RESOURCE is given up first, which not every root has. */
#include "observe.h"
#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>

static long option(int number, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return syscall(SYS_prctl, number, a, b, c, d);
}

static void show(int number, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    long result = option(number, a, b, c, d);
    say("%d (%ld %ld %ld %ld): %ld %s", number, (long)a, (long)b, (long)c, (long)d, result,
        result < 0 ? errno_name(errno) : "");
}

static void *asks(void *unused)
{
    int reaper = -1;
    option(37, (long)&reaper, 0, 0, 0);
    say("another thread: subreaper %d, huge pages %ld, merge %ld", reaper, option(42, 0, 0, 0, 0),
        option(68, 0, 0, 0, 0));
    return unused;
}

int main(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1U << 24);
    need(syscall(SYS_capset, &header, data) == 0, "capset");

    static const int foreign[] = {0, 5, 6, 9, 10, 11, 12, 17, 18, 19, 20, 43, 44, 45, 46, 48, 49, 50, 51,
                                  54, 55, 56, 60, 61, 63, 64, 69, 70, 71, 72, 73, 74, 75, 76, 79, 80, 81, 12345};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        for (unsigned long a = 0; a < 2; a++)
            show(foreign[i], a, 0, 0, 0);
    static const int plain[] = {13, 31, 32, 39, 42, 52, 57, 58, 66, 68};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        show(plain[i], 9, 0, 0, 0);
        show(plain[i], 0, 5, 5, 5);
    }
    show(14, 0, 0, 0, 0);
    show(14, 1, 0, 0, 0);
    for (unsigned long a = 0; a < 3; a++)
        for (unsigned long b = 0; b < 4; b++) {
            show(33, a, b, 0, 0);
            show(34, 0, 0, 0, 0);
        }
    show(33, 1, 0, 1, 0);
    show(34, 1, 0, 0, 0);
    for (int i = 0; i < 18; i++)
        if (i != 14 && i != 15)
            show(35, i, 0, 0, 0);
    unsigned size = 0;
    value("PR_SET_MM_MAP_SIZE", option(35, 15, (long)&size, 0, 0));
    say("%u", size);
    show(35, 1, 0, 5, 0);
    show(35, 1, 0, 0, 5);
    show(37, 8, 0, 0, 0);
    value("subreaper", option(36, 77, 0, 0, 0));
    for (unsigned long a = 0; a < 3; a++)
        for (unsigned long b = 0; b < 5; b++) {
            show(41, a, b, 0, 0);
            show(42, 0, 0, 0, 0);
        }
    show(41, 1, 0, 1, 0);
    show(67, 1, 0, 0, 0);
    show(67, 1, 1, 0, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, asks, NULL);
    pthread_join(thread, NULL);
    show(67, 0, 0, 0, 0);
    show(53, 9, 0, 0, 0);
    show(53, 0, 0, 1, 0);

    char auxv[1024], file[1024];
    long whole = option(0x41555856, (long)auxv, sizeof auxv, 0, 0);
    long told = slurp("/proc/self/auxv", file, sizeof file);
    say("auxv %ld", whole);
    yes("as in /proc", told > 0 && memcmp(auxv, file, told) == 0);
    memset(auxv, 1, sizeof auxv);
    value("auxv cut", option(0x41555856, (long)auxv, 20, 0, 0));
    say("%d %d", auxv[19] != 1 || auxv[18] != 1, auxv[20]);
    value("auxv of none", option(0x41555856, 0, 0, 0, 0));
    value("auxv nowhere", option(0x41555856, 8, 8, 0, 0));
    value("auxv flags", option(0x41555856, 8, 8, 1, 0));

    static const long slots[] = {3, 1, -1, 8, 4};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        show(78, 1, slots[i], 0, 0);
        show(78, 1, slots[i], 1, 0);
    }
    show(78, 2, 0, 0, 0);
    show(78, 1, 0, 0, 0);
    show(78, 2, 0, 0, 0);
    show(78, 1, 16, 0, 0);
    show(78, 0, 0, 0, 0);
    show(78, 4, 0, 0, 0);

    char *text = mmap(NULL, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *data_page = fresh(PAGE);
    show(65, 2, 0, 0, 0);
    show(65, 4, 0, 0, 0);
    show(65, 1, 1, 0, 0);
    show(65, 0, 0, 0, 0);
    show(65, 1, 0, 0, 0);
    show(65, 1, 0, 0, 0);
    show(65, 3, 0, 0, 0);
    show(65, 0, 0, 0, 0);
    show(66, 0, 0, 0, 0);
    int all = PROT_READ | PROT_WRITE | PROT_EXEC;
    value("writable and executable", (long)mmap(NULL, PAGE, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mapped("executable", mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    value("data to text", mprotect(data_page, PAGE, PROT_READ | PROT_EXEC));
    value("data to all", mprotect(data_page, PAGE, all));
    value("text to all", mprotect(text, PAGE, all));
    value("text to text", mprotect(text, PAGE, PROT_EXEC));
    value("text to data", mprotect(text, PAGE, PROT_READ | PROT_WRITE));
    value("and back", mprotect(text, PAGE, PROT_READ | PROT_EXEC));
    return 0;
}
