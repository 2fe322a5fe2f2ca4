// build: static
/* What only the machine's administrator may do, asked for by somebody else.
 *
 * User 0 gives up all that it may do before anything else: nothing here is ever tried with privileges. */
#include "observe.h"
#include <grp.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>

static char buffer[4096];

/* Refused as not permitted, or as not there by a kernel that is built without it. */
static void refused(const char *what, long result)
{
    yes(what, result == -1 && (errno == EPERM || errno == ENOSYS));
}

static void modules(void)
{
    refused("init_module", syscall(SYS_init_module, buffer, 0L, ""));
    refused("init_module NULL", syscall(SYS_init_module, NULL, 8L, NULL));
    refused("finit_module", syscall(SYS_finit_module, -1, "", 0));
    refused("finit_module with unknown flags", syscall(SYS_finit_module, 0, "", 64));
    refused("delete_module", syscall(SYS_delete_module, "nothing", 0));
    refused("kexec_load", syscall(SYS_kexec_load, 0L, 0L, NULL, 0L));
    refused("kexec_load with unknown flags", syscall(SYS_kexec_load, 0L, 0L, NULL, 0xffL));
    refused("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0L, NULL, 0L));
    value("reboot with wrong words", syscall(SYS_reboot, 1, 2, 3, NULL));
    value("reboot with the right words", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
}

static void machine(void)
{
    refused("iopl(3)", syscall(SYS_iopl, 3));
    refused("ioperm on", syscall(SYS_ioperm, 0x80L, 1L, 1));
    value("swapon", syscall(SYS_swapon, "nothing", 0));
    value("swapon NULL", syscall(SYS_swapon, NULL, 0x7ffff));
    value("swapon with unknown flags", syscall(SYS_swapon, "nothing", 0x80000));
    value("swapoff", syscall(SYS_swapoff, "nothing"));
    value("swapoff NULL", syscall(SYS_swapoff, NULL));
    value("acct", syscall(SYS_acct, NULL));
    value("acct of a file", syscall(SYS_acct, "nothing"));
    value("vhangup", syscall(SYS_vhangup));
    value("sethostname", syscall(SYS_sethostname, "x", 1));
    value("sethostname negative", syscall(SYS_sethostname, "x", -1));
    value("sethostname NULL", syscall(SYS_sethostname, NULL, 4));
    value("setdomainname", syscall(SYS_setdomainname, "x", 1));
    value("setdomainname too long", syscall(SYS_setdomainname, "x", 65));
    value("syslog: clear", syscall(SYS_syslog, 5, NULL, 0));
    value("syslog: read", syscall(SYS_syslog, 2, buffer, 10));
    value("syslog: read, negative", syscall(SYS_syslog, 2, buffer, -10));
    value("syslog: unknown", syscall(SYS_syslog, 77, NULL, 0));
}

static void events(void)
{
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    char tail[200] = {0};
    value("bpf: a map", syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
    value("bpf: a program", syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr));
    value("bpf NULL", syscall(SYS_bpf, BPF_MAP_CREATE, NULL, sizeof attr));
    tail[199] = 1;
    value("bpf with something unknown behind", syscall(SYS_bpf, BPF_MAP_CREATE, tail, sizeof tail));
    value("bpf of a page and more", syscall(SYS_bpf, BPF_MAP_CREATE, &attr, 5000));
    value("bpf: unknown", syscall(SYS_bpf, 9999, &attr, sizeof attr));

    struct perf_event_attr event = {.type = PERF_TYPE_HARDWARE, .size = sizeof event};
    value("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0L));
    value("perf_event_open NULL", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0L));
    value("perf_event_open with unknown flags", syscall(SYS_perf_event_open, &event, 0, -1, -1, 16L));
    event.size = 8;
    value("perf_event_open, short", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0L));
    say("the size to be: %s", event.size > 63 ? "told" : "not told");
    event.size = 5000;
    value("perf_event_open, long", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0L));
}

static void quotas(void)
{
    value("quotactl", syscall(SYS_quotactl, 0x80000700, "/dev/null", 0, buffer));
    value("quotactl of nothing", syscall(SYS_quotactl, 0x80000700, "nothing", 0, buffer));
    value("quotactl NULL", syscall(SYS_quotactl, 0x80000700, NULL, 0, buffer));
    value("quotactl, bad type", syscall(SYS_quotactl, 0x80000703, "/dev/null", 0, buffer));
    value("quotactl_fd", syscall(SYS_quotactl_fd, -1, 0x80000700, 0, buffer));
    value("quotactl_fd, bad type", syscall(SYS_quotactl_fd, 0, 0x80000703, 0, buffer));
}

static void namespaces(void)
{
    value("setns of nothing", syscall(SYS_setns, -1, 0));
    int fd = open("/dev/null", O_RDONLY);
    value("setns of a file", syscall(SYS_setns, fd, 0));
    close(fd);
    static const struct { const char *name; int flag; } each[] = {
        {"mounts", 0x20000}, {"cgroups", 0x2000000}, {"names", 0x4000000}, {"messages", 0x8000000},
        {"processes", 0x20000000}, {"networks", 0x40000000}, {"clocks", 0x80},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        value(each[i].name, syscall(SYS_unshare, each[i].flag));
    value("unshare unknown", syscall(SYS_unshare, 1));
}

static void old(void)
{
    static const struct { const char *name; int number; } each[] = {
        {"uselib", SYS_uselib}, {"_sysctl", SYS__sysctl}, {"create_module", SYS_create_module},
        {"get_kernel_syms", SYS_get_kernel_syms}, {"query_module", SYS_query_module},
        {"nfsservctl", SYS_nfsservctl}, {"getpmsg", SYS_getpmsg}, {"putpmsg", SYS_putpmsg},
        {"afs_syscall", SYS_afs_syscall}, {"tuxcall", SYS_tuxcall}, {"security", SYS_security},
        {"vserver", SYS_vserver}, {"set_thread_area", SYS_set_thread_area},
        {"get_thread_area", SYS_get_thread_area}, {"lookup_dcookie", SYS_lookup_dcookie},
        {"epoll_ctl_old", SYS_epoll_ctl_old}, {"epoll_wait_old", SYS_epoll_wait_old},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        value(each[i].name, syscall(each[i].number, 0L, 0L, 0L, 0L, 0L, 0L));
}

static void segments(void)
{
    uint32_t entry[4] = {9000};
    memset(buffer, 7, sizeof buffer);
    value("modify_ldt: read", syscall(SYS_modify_ldt, 0, buffer, sizeof buffer));
    value("modify_ldt: read NULL", syscall(SYS_modify_ldt, 0, NULL, sizeof buffer));
    value("modify_ldt: the default", syscall(SYS_modify_ldt, 2, buffer, sizeof buffer));
    say("%d %d", buffer[127], buffer[128]);
    value("modify_ldt: the default, NULL", syscall(SYS_modify_ldt, 2, NULL, sizeof buffer));
    value("modify_ldt: the default, short", syscall(SYS_modify_ldt, 2, buffer, 5));
    value("modify_ldt: unknown", syscall(SYS_modify_ldt, 5, buffer, sizeof buffer));
    value("modify_ldt: write, bad size", syscall(SYS_modify_ldt, 1, entry, 4));
    value("modify_ldt: write NULL", syscall(SYS_modify_ldt, 1, NULL, 16));
    value("modify_ldt: write, bad entry", syscall(SYS_modify_ldt, 0x11, entry, 16));
    entry[0] = 1;
    entry[3] = 3 << 1;
    value("modify_ldt: write, a gate", syscall(SYS_modify_ldt, 1, entry, 16));
    value("modify_ldt: write, a gate that is there", syscall(SYS_modify_ldt, 0x11, entry, 16));
}

static void file_systems(void)
{
    struct { int blocks; unsigned long inodes; char names[12]; } about;
    struct stat stat;
    value("ustat of nothing", syscall(SYS_ustat, 0xfff3L, &about));
    need(lstat("/dev/shm", &stat) == 0, "/dev/shm");
    memset(&about, 7, sizeof about);
    value("ustat", syscall(SYS_ustat, stat.st_dev, &about));
    yes("there are blocks", about.blocks > 0);
    say("%d %d", about.names[0], about.names[11]);
    value("ustat NULL", syscall(SYS_ustat, stat.st_dev, NULL));
}

static void types(void)
{
    value("sysfs of an unknown type", syscall(SYS_sysfs, 1, "nothing"));
    value("sysfs NULL", syscall(SYS_sysfs, 1, NULL));
    long index = syscall(SYS_sysfs, 1, "tmpfs");
    yes("tmpfs has an index", index >= 0);
    memset(buffer, 7, sizeof buffer);
    value("its name", syscall(SYS_sysfs, 2, index, buffer));
    say("%s", buffer);
    value("a name too many", syscall(SYS_sysfs, 2, 9999, buffer));
    value("to nowhere", syscall(SYS_sysfs, 2, index, NULL));
    yes("there are more", syscall(SYS_sysfs, 3) > index);
    value("sysfs, unknown", syscall(SYS_sysfs, 4));
}

/* Not there, or refused by a processor that has them. */
static void shadow_stack(void)
{
#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack 453
#endif
    long result = syscall(SYS_map_shadow_stack, 0L, 0L, 99);
    yes("map_shadow_stack", result == -1 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS));
}

int main(void)
{
    if (getuid() == 0) {
        need(setgroups(0, NULL) == 0, "setgroups");
        need(setresgid(65534, 65534, 65534) == 0, "setresgid");
        need(setresuid(65534, 65534, 65534) == 0, "setresuid");
    }
    modules();
    machine();
    events();
    quotas();
    namespaces();
    old();
    segments();
    file_systems();
    types();
    shadow_stack();
    return 0;
}
