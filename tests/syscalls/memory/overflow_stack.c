// diagnostics: expected
/* Endless recursion ends with SIGSEGV: 128 + 11. */
#include "observe.h"
#include <sys/resource.h>

static __attribute__((noinline)) int deep(volatile char *up)
{
    volatile char frame[4096];
    frame[0] = up[0];
    return deep(frame) + frame[0];
}

int main(void)
{
    say("down");
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    return deep((volatile char *)"");
}
