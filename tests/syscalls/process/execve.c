/* execve refusals: what is no program, malformed ELF by each header field, scripts. */
#include "observe.h"
#include <elf.h>
#include <stddef.h>
#include <sys/resource.h>

static unsigned char good[8192];
static size_t good_bytes;

static void attempt(const char *what, const char *path)
{
    char *argv[] = {(char *)path, NULL}, *env[] = {NULL};
    execve(path, argv, env);
    say("%s: %s", what, errno_name(errno));
}

static void attempt_bytes(const char *what, const void *bytes, size_t count)
{
    unlink("program");
    put_file("program", bytes, count);
    chmod("program", 0755);
    attempt(what, "./program");
}

/* The good program with some bytes changed. */
static void attempt_changed(const char *what, size_t offset, uint64_t v, size_t size)
{
    unsigned char bytes[sizeof good];
    memcpy(bytes, good, sizeof good);
    memcpy(bytes + offset, &v, size);
    attempt_bytes(what, bytes, good_bytes);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        say("started again as %s with %d arguments, last %s", argv[0], argc, argv[argc - 1]);
        return 5;
    }
    attempt("nothing", "none");
    attempt("an empty path", "");
    attempt("a directory", "/tmp");
    put_text("plain", "text\n");
    attempt("without x", "plain");
    attempt("below a file", "plain/x");
    attempt("a device", "/dev/null");
    attempt_bytes("an empty file", "", 0);
    attempt_bytes("text", "hello\n", 6);
    attempt_bytes("zeroes", (char[4096]){0}, 4096);
    attempt_bytes("only the magic number", "\177ELF", 4);
    attempt_bytes("#! alone", "#!\n", 3);
    attempt_bytes("#! of nothing", "#!/no/such/program\n", 19);
    attempt_bytes("#! of a directory", "#!/tmp\n", 7);
    attempt_bytes("#! of itself", "#!./program\n", 12);
    attempt_bytes("#! and blanks", "#!   \n", 6);
    attempt_bytes("#! without a line end", "#!/no/such", 10);
    char longest[400];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "#!/", 3);
    attempt_bytes("#! longer than 256 bytes", longest, sizeof longest);
    value("NULL path", syscall(SYS_execve, NULL, NULL, NULL));
    value("a bad path", syscall(SYS_execve, 8, NULL, NULL));
    value("bad arguments", syscall(SYS_execve, "/bin/true", 8, NULL));
    char *bad[] = {"x", (char *)8, NULL}, *fine[] = {"x", NULL};
    value("a bad argument", syscall(SYS_execve, "/bin/true", bad, NULL));
    value("a bad environment", syscall(SYS_execve, "/bin/true", fine, bad));
    char *big = malloc(200000);
    memset(big, 'b', 199999);
    big[199999] = 0;
    char *huge[] = {"x", big, NULL};
    value("an argument of 200,000 bytes", syscall(SYS_execve, "/bin/true", huge, NULL));
    static char *many[100002];
    big[100] = 0;
    for (int i = 0; i < 100000; i++)
        many[i] = big;
    value("10 MB of arguments", syscall(SYS_execve, "/bin/true", many, NULL));

    /* A tiny good program: one segment, exits at once; never run here unless it is broken first. */
    Elf64_Ehdr h = {.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = 0x40000000 + 0x1000,
                    .e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr),
                    .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1};
    memcpy(h.e_ident, "\177ELF\2\1\1", 7);
    Elf64_Phdr p = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0, .p_vaddr = 0x40000000,
                    .p_filesz = 0x1010, .p_memsz = 0x1010, .p_align = 0x1000};
    memcpy(good, &h, sizeof h);
    memcpy(good + sizeof h, &p, sizeof p);
    good_bytes = 0x1010;
    memcpy(good + 0x1000, "\xb8\x3c\0\0\0\xbf\x2a\0\0\0\x0f\x05", 12);
#define HEADER(field, v) attempt_changed(#field " " #v, offsetof(Elf64_Ehdr, field), v, sizeof h.field)
    HEADER(e_type, ET_REL);
    HEADER(e_type, ET_CORE);
    HEADER(e_type, 0);
    HEADER(e_machine, EM_AARCH64);
    HEADER(e_machine, 0);
    HEADER(e_phentsize, 55);
    HEADER(e_phentsize, 0);
    HEADER(e_phnum, 0);
    HEADER(e_phnum, 2000);
    HEADER(e_phoff, 1UL << 40);
    HEADER(e_phoff, 0x7fffffffffffffff);
    HEADER(e_phoff, 0x8000000000000001);
    attempt_bytes("cut inside the header", good, 40);
    attempt_bytes("cut inside the program headers", good, 80);
    unsigned char with[8192];
    memcpy(with, good, sizeof with);
    Elf64_Phdr interp = {.p_type = PT_INTERP, .p_offset = 0x200, .p_filesz = 11, .p_memsz = 11};
    memcpy(with + sizeof h, &interp, sizeof interp);
    memcpy(with + sizeof h + sizeof p, &p, sizeof p);
    with[offsetof(Elf64_Ehdr, e_phnum)] = 2;
    memcpy(with + 0x200, "/no/interp", 11);
    attempt_bytes("an interpreter that does not exist", with, good_bytes);
    with[0x20a] = 'x';
    attempt_bytes("an interpreter's name without an end", with, good_bytes);
    interp.p_filesz = 1;
    memcpy(with + sizeof h, &interp, sizeof interp);
    attempt_bytes("an interpreter's name of one byte", with, good_bytes);
    interp.p_filesz = 5000;
    memcpy(with + sizeof h, &interp, sizeof interp);
    attempt_bytes("an interpreter's name of 5000 bytes", with, good_bytes);
    interp.p_filesz = 11;
    static const uint64_t offsets[] = {0x10000, 1UL << 62, INT64_MAX - 11, INT64_MAX - 10, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        interp.p_offset = offsets[i];
        memcpy(with + sizeof h, &interp, sizeof interp);
        char what[60];
        snprintf(what, sizeof what, "an interpreter's name at %#lx", offsets[i]);
        attempt_bytes(what, with, good_bytes);
    }
    interp.p_offset = 0x200;
    memcpy(with + sizeof h, &interp, sizeof interp);
    memcpy(with + 0x200, "/dev/null\0\0", 11);
    attempt_bytes("an interpreter that is a device", with, good_bytes);
    memcpy(with + 0x200, "./plain\0\0\0", 11);
    attempt_bytes("an interpreter without x", with, good_bytes);
    chmod("plain", 0755);
    interp.p_filesz = 8;
    memcpy(with + sizeof h, &interp, sizeof interp);
    attempt_bytes("an interpreter that is text", with, good_bytes);
    int open_for_writing = open("program", O_WRONLY);
    attempt("a program that is open for writing", "./program");
    close(open_for_writing);

    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    value("execveat AT_EMPTY_PATH of a text file",
          syscall(SYS_execveat, open("plain", O_RDONLY), "", (char *[]){"x", NULL}, NULL, AT_EMPTY_PATH));
    value("execveat unknown flag", syscall(SYS_execveat, fd, "", (char *[]){"x", NULL}, NULL, 0x8000));
    say("now for good");
    char *again[] = {"another name", "one", "two", NULL};
    syscall(SYS_execveat, fd, "", again, NULL, AT_EMPTY_PATH);
    say("not reached: %s", errno_name(errno));
    return 1;
}
