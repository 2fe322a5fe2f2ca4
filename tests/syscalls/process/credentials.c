/* Changing identity: what root may, what is lost for good afterwards, capabilities. Changes only itself. */
#include "observe.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>

static void ids(const char *what)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;
    syscall(SYS_getresuid, &r, &e, &s);
    syscall(SYS_getresgid, &gr, &ge, &gs);
    say("  %s: uid %d %d %d, gid %d %d %d, fs %ld %ld", what, r, e, s, gr, ge, gs,
        syscall(SYS_setfsuid, -1), syscall(SYS_setfsgid, -1));
}

int main(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0}};
    value("capget", syscall(SYS_capget, &h, d));
    yes("effective within permitted", (d[0].effective & ~d[0].permitted) == 0);
    h.version = 1;
    value("capget of an unknown version", syscall(SYS_capget, &h, d));
    yes("says which it knows", h.version == _LINUX_CAPABILITY_VERSION_3);
    h.pid = 0x3ffffff;
    value("capget of nobody", syscall(SYS_capget, &h, d));
    h.pid = 0;
    value("capget bad header", syscall(SYS_capget, 8, d));
    gid_t groups[] = {100, 200, 300};
    value("setgroups", syscall(SYS_setgroups, 3, groups));
    gid_t seen[8] = {0};
    value("getgroups", syscall(SYS_getgroups, 8, seen));
    say("%d %d %d", seen[0], seen[1], seen[2]);
    value("getgroups, too small", syscall(SYS_getgroups, 2, seen));
    value("setgroups, too many", syscall(SYS_setgroups, 70000, groups));
    value("setgroups, bad", syscall(SYS_setgroups, 3, 8));
    value("setgid", syscall(SYS_setgid, 44));
    ids("setgid");
    value("setregid", syscall(SYS_setregid, -1, 55));
    value("setresgid", syscall(SYS_setresgid, 1, 2, 3));
    ids("setresgid");
    value("setfsuid returns the old one", syscall(SYS_setfsuid, 77));
    ids("setfsuid");
    value("setfsgid", syscall(SYS_setfsgid, 78));
    value("setresuid, -1 keeps", syscall(SYS_setresuid, -1, 1000, -1));
    ids("seteuid 1000");
    value("back by the saved id", syscall(SYS_setresuid, -1, 0, -1));
    value("setreuid", syscall(SYS_setreuid, 1000, 1001));
    ids("setreuid");
    value("setreuid to another", syscall(SYS_setreuid, 5, -1));
    value("setreuid swaps", syscall(SYS_setreuid, 1001, 1000));
    ids("swapped");
    value("setuid to the saved", syscall(SYS_setuid, 1001));
    value("setuid 0", syscall(SYS_setuid, 0));
    value("setresuid 0", syscall(SYS_setresuid, 0, 0, 0));
    value("setgroups without privilege", syscall(SYS_setgroups, 0, NULL));
    value("setuid -1", syscall(SYS_setuid, -1));
    h.version = _LINUX_CAPABILITY_VERSION_3;
    memset(d, 0, sizeof d);
    value("capset to nothing", syscall(SYS_capset, &h, d));
    d[0].permitted = d[0].effective = 1;
    value("capset to more", syscall(SYS_capset, &h, d));
    return 0;
}
