// build: static dynamic
/* A program whose first segment ends before its program headers: the page is the file's to its end, and
 * AT_PHDR is where headers at address 0 would be. ld.so then finds none, and says so. */
#include "observe.h"
#include <elf.h>
#include <sys/auxv.h>

extern const char __ehdr_start[];

int main(int argc, char **argv)
{
    static unsigned char program[4 << 20];
    int fd = open("/proc/self/exe", O_RDONLY);
    long bytes = read(fd, program, sizeof program);
    need(bytes > 0 && bytes < (long)sizeof program, "to read the program");
    if (argc > 1) {
        yes("AT_PHDR is 0", getauxval(AT_PHDR) == 0);
        yes("the page is the file's", !memcmp(__ehdr_start, program, PAGE / 4));
        return 0;
    }
    Elf64_Ehdr *head = (void *)program;
    Elf64_Phdr *segment = (void *)(program + head->e_phoff);
    while (segment->p_type != PT_LOAD)
        segment++;
    segment->p_filesz = segment->p_memsz = 4;
    put_file("short", program, bytes);
    chmod("short", 0755);
    execv("short", (char *[]){argv[0], "again", NULL});
    say("not reached: %s", errno_name(errno));
    return 1;
}
