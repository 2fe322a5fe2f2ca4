// differs: the mounts of an enclave are its configuration's; changing them is EPERM
/* mount and umount2: refusals. Nothing here mounts anything. */
#include "observe.h"

int main(void)
{
    mkdir("d", 0755);
    value("umount2 of what is no mount", syscall(SYS_umount2, "d", 0));
    value("umount2 of nothing", syscall(SYS_umount2, "none", 0));
    value("mount on nothing", syscall(SYS_mount, "x", "none", "tmpfs", 0, NULL));
    value("mount NULL", syscall(SYS_mount, "x", NULL, "tmpfs", 0, NULL));
    return 0;
}
