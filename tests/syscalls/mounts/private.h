/* Mounts that nobody else sees: on Linux the program takes a namespace of its own before anything else;
 * an enclave is one already, and has only one. */
#ifndef PRIVATE_H
#define PRIVATE_H

#include "observe.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>

__attribute__((constructor)) UNUSED static void take_own_mounts(void)
{
    int own = unshare(CLONE_NEWNS);
    need(own == 0 || errno == EPERM, "unshare");
    /* Refused on Linux means: without the right to mount anything. */
    if (own == -1 && access("/proc/self/ns", F_OK) == 0)
        exit(77);
    need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
}

/* The lines of mountinfo from the field at `field` on whose mount point ends in `name`. */
UNUSED static void show_mounts(const char *name)
{
    static char text[1 << 16];
    slurp("/proc/self/mountinfo", text, sizeof text);
    int shown = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char root[256], point[256], how[256], rest[512];
        int at = 0;
        if (sscanf(line, "%*d %*d %*s %255s %255s %255s %n", root, point, how, &at) < 3)
            continue;
        size_t len = strlen(point), tail = strlen(name);
        if (len < tail || strcmp(point + len - tail, name) != 0)
            continue;
        /* Numbers of groups are told as "N". */
        snprintf(rest, sizeof rest, "%s", line + at);
        for (char *p = rest; *p && strncmp(p, "- ", 2) != 0; p++)
            if (p[-1] == ':' && *p >= '0' && *p <= '9')
                *p = 'N';
        char *slash = strrchr(root, '/');
        say("  %s %s %s", slash == root ? root : slash, how, rest);
        shown++;
    }
    say("  %d times %s", shown, name);
}

#endif
