/* mount and umount2: refusals. Nothing here mounts anything. */
#include "private.h"

int main(void)
{
    mkdir("d", 0755);
    value("umount2 of what is no mount", syscall(SYS_umount2, "d", 0));
    value("umount2 of nothing", syscall(SYS_umount2, "none", 0));
    value("mount on nothing", syscall(SYS_mount, "x", "none", "tmpfs", 0, NULL));
    value("mount NULL", syscall(SYS_mount, "x", NULL, "tmpfs", 0, NULL));
    value("umount2 with unknown flags", syscall(SYS_umount2, "d", 16));
    value("umount2 NULL", syscall(SYS_umount2, NULL, 0));
    value("mount of a bad type", syscall(SYS_mount, "x", "d", (char *)8, 0, NULL));
    value("mount of a bad source", syscall(SYS_mount, (char *)8, "d", "tmpfs", 0, NULL));
    value("mount with bad data", syscall(SYS_mount, "x", "d", "tmpfs", 0, (char *)8));
    return 0;
}
