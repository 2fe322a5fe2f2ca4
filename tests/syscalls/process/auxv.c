// build: static dynamic static-pie no-pie musl musl-dynamic
/* The start: arguments, environment, auxiliary vector, stack alignment, registers, streams. */
#include "observe.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
extern const ElfW(Ehdr) __ehdr_start;

int main(int argc, char **argv)
{
    say("argc %d, argv ends %s", argc, argv[argc] == NULL ? "with NULL" : "BADLY");
    int count = 0, tz = 0;
    char **e = environ;
    for (; *e; e++, count++)
        tz |= !strcmp(*e, "TZ=UTC");
    say("environment %d, TZ %d", count, tz);
    yes("environment follows the arguments", environ == argv + argc + 1);
    ElfW(auxv_t) *aux = (void *)(e + 1);
    int seen[64] = {0};
    for (; aux->a_type != AT_NULL; aux++)
        if (aux->a_type < 64)
            seen[aux->a_type]++;
    static const struct { const char *name; int type; } wanted[] = {
        {"PHDR", AT_PHDR}, {"PHENT", AT_PHENT}, {"PHNUM", AT_PHNUM}, {"PAGESZ", AT_PAGESZ}, {"BASE", AT_BASE},
        {"FLAGS", AT_FLAGS}, {"ENTRY", AT_ENTRY}, {"UID", AT_UID}, {"EUID", AT_EUID}, {"GID", AT_GID},
        {"EGID", AT_EGID}, {"PLATFORM", AT_PLATFORM}, {"HWCAP", AT_HWCAP}, {"CLKTCK", AT_CLKTCK},
        {"SECURE", AT_SECURE}, {"RANDOM", AT_RANDOM}, {"HWCAP2", AT_HWCAP2}, {"EXECFN", AT_EXECFN},
        {"SYSINFO_EHDR", AT_SYSINFO_EHDR}, {"MINSIGSTKSZ", AT_MINSIGSTKSZ}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        say("AT_%s %d", wanted[i].name, seen[wanted[i].type]);
    say("PHENT %ld PAGESZ %ld FLAGS %ld CLKTCK %ld SECURE %ld", (long)getauxval(AT_PHENT), (long)getauxval(AT_PAGESZ),
        (long)getauxval(AT_FLAGS), (long)getauxval(AT_CLKTCK), (long)getauxval(AT_SECURE));
    say("platform %s", (char *)getauxval(AT_PLATFORM));
    yes("ids", getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid() && getauxval(AT_GID) == getgid());
    yes("execfn is argv[0] here", !strcmp((char *)getauxval(AT_EXECFN), argv[0]));
    const ElfW(Phdr) *headers = (void *)getauxval(AT_PHDR);
    yes("PHDR lies in the program", (uintptr_t)headers == (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff);
    yes("PHNUM", getauxval(AT_PHNUM) == __ehdr_start.e_phnum);
    int interpreter = 0;
    for (int i = 0; i < __ehdr_start.e_phnum; i++)
        interpreter |= headers[i].p_type == PT_INTERP;
    yes("BASE exactly with an interpreter", interpreter == (getauxval(AT_BASE) != 0));
    uintptr_t bias = __ehdr_start.e_type == ET_DYN ? (uintptr_t)&__ehdr_start : 0;
    yes("ENTRY", getauxval(AT_ENTRY) == __ehdr_start.e_entry + bias);
    unsigned char *random = (void *)getauxval(AT_RANDOM);
    int some = 0;
    for (int i = 0; i < 16; i++)
        some |= random[i];
    yes("random bytes", some);
    yes("the vDSO is ELF", !memcmp((void *)getauxval(AT_SYSINFO_EHDR), ELFMAG, SELFMAG));
    yes("the auxiliary vector ends the words, strings follow", (char *)(aux + 1) <= argv[0]);
    yes("argv[0] before the environment", argv[0] < environ[0]);
    yes("main's stack is aligned", ((uintptr_t)__builtin_frame_address(0) & 15) == 0);
    char file[4096];
    int fd = open("/proc/self/auxv", O_RDONLY);
    long n = read(fd, file, sizeof file);
    yes("/proc/self/auxv is the same", n > 0 && n % 16 == 0 && !memcmp(file, e + 1, n));
    fd = open("/proc/self/cmdline", O_RDONLY);
    n = read(fd, file, sizeof file);
    yes("/proc/self/cmdline", n == (long)strlen(argv[0]) + 1 && !strcmp(file, argv[0]));
    char *exe = realpath("/proc/self/exe", NULL), *self = realpath(argv[0], NULL);
    yes("/proc/self/exe", exe && self && !strcmp(exe, self));
    return 0;
}
