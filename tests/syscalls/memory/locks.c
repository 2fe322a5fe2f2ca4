/* mlock2, mlockall, munlockall; the protection-key calls' refusals, alike with and without the hardware. */
#include "observe.h"

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
    return 0;
}
