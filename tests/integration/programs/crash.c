// A crash whose function and line are known: `crash HOW`.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) static void write_null(volatile int *place)
{
    *place = 1;
}

__attribute__((noinline)) static int divide(volatile int *by)
{
    return 7 / *by;
}

__attribute__((noinline)) static int too_deep(volatile char *above)
{
    volatile char room[4000];
    room[0] = *above;
    return too_deep(room) + room[0];
}

__attribute__((noinline)) static void to_nowhere(void (*volatile target)(void))
{
    target();
    write(1, "", 1);
}

__attribute__((noinline)) static int wild_stack(void)
{
    __asm__ volatile("mov $0x123456789a0, %rsp; xor %ebp, %ebp; movl $0, 0");
    return 1;
}

int main(int count, char **words)
{
    const char *how = count > 1 ? words[1] : "null";
    volatile int zero = 0;
    if (!strcmp(how, "null"))
        write_null(0);
    if (!strcmp(how, "readonly"))
        write_null(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (!strcmp(how, "divide"))
        return divide(&zero);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "deep"))
        return too_deep((char *)&zero);
    if (!strcmp(how, "nowhere"))
        to_nowhere((void (*)(void))0x1234);
    if (!strcmp(how, "stack"))
        return wild_stack();
    if (!strcmp(how, "sent")) {
        // A shell that runs the tests in the background has it ignored.
        signal(SIGQUIT, SIG_DFL);
        kill(getpid(), SIGQUIT), pause();
    }
    return 0;
}
