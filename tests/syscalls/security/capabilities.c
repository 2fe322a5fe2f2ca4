// build: static musl
/* Capability sets: what capset admits, what /proc shows, what access(2) asks with. */
#include "observe.h"

/* musl has no linux/capability.h. */
enum { CAP_CHOWN = 0, CAP_DAC_OVERRIDE = 1, CAP_FOWNER = 3, CAP_FSETID = 4, CAP_KILL = 5, CAP_SETUID = 7, CAP_SETPCAP = 8 };
#define VERSION_3 0x20080522
struct header { uint32_t version; int pid; };
struct data { uint32_t effective, permitted, inheritable; };

#define BIT(cap) (1U << (cap))
#define COMMON (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_SETUID) | BIT(CAP_KILL))

static long set(uint32_t effective, uint32_t permitted, uint32_t inheritable)
{
    struct header header = {VERSION_3, 0};
    struct data data[2] = {{effective, permitted, inheritable}, {0, 0, 0}};
    return syscall(SYS_capset, &header, data);
}

static void show(const char *when)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    say("%s", when);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "CapInh", 6) || !strncmp(line, "CapPrm", 6) || !strncmp(line, "CapEff", 6))
            printf("%s", line);
    fclose(file);
}

int main(void)
{
    uint32_t more = BIT(CAP_SETPCAP);
    char path[] = "/tmp/capabilities.XXXXXX";
    int file = mkstemp(path);
    fchmod(file, 0);
    value("capset to a common set", set(COMMON | more, COMMON | more, 0));
    show("common");
    value("inheritable beyond permitted, with SETPCAP", set(COMMON, COMMON, BIT(CAP_FOWNER)));
    show("inheritable");
    value("what is inheritable already", set(COMMON, COMMON, BIT(CAP_FOWNER)));
    value("inheritable beyond, without", set(COMMON, COMMON, BIT(CAP_FSETID)));
    value("inheritable of permitted", set(COMMON, COMMON, BIT(CAP_KILL)));
    value("permitted beyond", set(COMMON, COMMON | more, 0));
    value("effective beyond permitted", set(COMMON, BIT(CAP_KILL), 0));
    show("refused");
    value("nothing effective", set(0, COMMON, 0));
    show("permitted only");
    value("access with what is permitted", access(path, R_OK));
    value("open with what is effective", open(path, O_RDONLY));
    value("override given up", set(0, COMMON & ~BIT(CAP_DAC_OVERRIDE), 0));
    value("access without", access(path, R_OK));
    value("unlink", unlink(path));
    show("end");
    return 0;
}
