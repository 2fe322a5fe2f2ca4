/* Loaded before a program: at its end, says whether the text of library $TEXT, as loads see it, is its file's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int look(struct dl_phdr_info *info, size_t size, void *name)
{
    (void)size;
    if (!strstr(info->dlpi_name, name))
        return 0;
    int file = open(info->dlpi_name, O_RDONLY);
    struct stat is;
    if (file < 0 || fstat(file, &is))
        return 0;
    const char *bytes = mmap(NULL, is.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        const char *text = (const char *)info->dlpi_addr + part->p_vaddr;
        int same = !memcmp(text, bytes + part->p_offset, part->p_filesz);
        fprintf(stderr, "%s: %s\n", (char *)name, same ? "as in its file" : "changed");
    }
    return 0;
}

__attribute__((destructor)) static void at_end(void)
{
    dl_iterate_phdr(look, getenv("TEXT"));
}
