/* What is refused by design: see test_security.py. */
#include "../../observe.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

#ifndef SYS_lsm_list_modules
#define SYS_lsm_list_modules 461
#endif

int main(void)
{
    value("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    value("add_key", syscall(SYS_add_key, "user", "name", "text", 4, -3));
    value("request_key", syscall(SYS_request_key, "user", "name", 0, 0));
    value("landlock_create_ruleset", syscall(SYS_landlock_create_ruleset, 0, 0, 1));
    value("landlock_add_rule", syscall(SYS_landlock_add_rule, -1, 0, 0, 0));
    value("landlock_restrict_self", syscall(SYS_landlock_restrict_self, -1, 0));
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    value("seccomp with a listener", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                             SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
    uint64_t ids[8] = {0};
    uint32_t size = sizeof ids;
    value("lsm_list_modules", syscall(SYS_lsm_list_modules, ids, &size, 0));
    say("%d", (int)ids[0]);
    return 0;
}
