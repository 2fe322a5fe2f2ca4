/* mlock2, mlockall, RLIMIT_MEMLOCK, munlockall; the protection-key calls' refusals, alike with and without the hardware. */
#include "observe.h"
#include <sys/resource.h>

int main(void)
{
    char *p = fresh(4 * PAGE);
    value("mlock2", syscall(SYS_mlock2, p, PAGE, 0));
    value("mlock2 on fault", syscall(SYS_mlock2, p, PAGE, 1));
    value("mlock2 unknown flag", syscall(SYS_mlock2, p, PAGE, 2));
    value("mlock2 unmapped", (munmap(p + PAGE, PAGE), syscall(SYS_mlock2, p, 2 * PAGE, 0)));
    value("mlock no bytes", mlock(p, 0));
    value("munlock unmapped", munlock(p + PAGE, PAGE));
    value("mlockall none", mlockall(0));
    value("mlockall unknown", mlockall(64));
    value("mlockall on fault alone", mlockall(4));
    value("mlockall current", mlockall(MCL_CURRENT));
    value("munlockall", munlockall());
    value("pkey_alloc unknown flag", syscall(SYS_pkey_alloc, 1, 0));
    value("pkey_alloc unknown rights", syscall(SYS_pkey_alloc, 0, 64));
    value("pkey_free of none", syscall(SYS_pkey_free, 99));
    value("pkey_mprotect without a key", syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ, -1));
    value("pkey_mprotect with an unknown key", syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ, 99));

    say("-- RLIMIT_MEMLOCK");
    struct rlimit limit = {4 * PAGE, 4 * PAGE};
    value("setrlimit", setrlimit(RLIMIT_MEMLOCK, &limit));
    char *q = fresh(16 * PAGE);
    value("the privileged lock what they like", mlock(q, 16 * PAGE));
    munlockall();
    need(setresuid(1000, 1000, 1000) == 0, "setresuid");
    value("up to the limit", mlock(q, 4 * PAGE));
    value("the same again", mlock(q + 1, 4 * PAGE - 1));
    value("one page more", mlock(q + 4 * PAGE, 1));
    value("overlapping", mlock(q + PAGE, 4 * PAGE));
    value("on fault, too", syscall(SYS_mlock2, q + 8 * PAGE, PAGE, 1));
    value("unlock one", munlock(q, PAGE));
    value("and lock another", mlock(q + 8 * PAGE, PAGE));
    value("MAP_LOCKED", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED);
    value("errno", errno == EAGAIN);
    value("mlockall", mlockall(MCL_CURRENT));
    value("mlockall in future", mlockall(MCL_FUTURE));
    value("a new mapping", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    value("errno", errno == EAGAIN);
    value("munlockall", munlockall());
    value("MAP_LOCKED", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED);
    limit = (struct rlimit){0, 0};
    value("none at all", setrlimit(RLIMIT_MEMLOCK, &limit));
    value("mlock", mlock(q, PAGE));
    value("mlock no bytes", mlock(q, 0));
    value("mlock2 unknown flag", syscall(SYS_mlock2, q, PAGE, 2));
    value("mlockall", mlockall(MCL_CURRENT));
    value("mlockall unknown", mlockall(64));
    errno = 0;
    value("MAP_LOCKED", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED);
    value("errno", errno == EPERM);
    value("munlock", munlock(q, PAGE));
    return 0;
}
