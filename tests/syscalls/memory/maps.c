/* /proc/self/maps shows what was mapped: ranges, protections, names, offsets. */
#include "observe.h"

struct row { unsigned long start, end, offset; char access[5], name[256]; };

static int find(void *address, struct row *row)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int found = 0;
    while (!found && fgets(line, sizeof line, maps)) {
        row->name[0] = 0;
        sscanf(line, "%lx-%lx %4s %lx %*x:%*x %*u %255[^\n]", &row->start, &row->end, row->access, &row->offset, row->name);
        found = row->start <= (unsigned long)address && (unsigned long)address < row->end;
    }
    fclose(maps);
    return found;
}

static void show(const char *what, void *address)
{
    struct row row;
    if (!find(address, &row)) {
        say("%s: not there", what);
        return;
    }
    char *base = strrchr(row.name, '/');
    say("%s: %s %ld pages offset %#lx %s", what, row.access, (long)((row.end - row.start) / PAGE),
        row.offset, base ? base : row.name);
}

int main(void)
{
    put_text("mapped-file", "x");
    int fd = open("mapped-file", O_RDWR);
    ftruncate(fd, 8 * PAGE);
    char *area = mmap(NULL, 32 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(area, 32 * PAGE);
    char *p = area + 4 * PAGE;
    mmap(p, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    show("anonymous", p);
    mprotect(p + PAGE, PAGE, PROT_READ);
    show("split: first", p);
    show("split: middle", p + PAGE);
    show("split: last", p + 2 * PAGE);
    mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE);
    show("merged", p);
    munmap(p + PAGE, PAGE);
    show("hole", p + PAGE);
    char *s = mmap(area + 16 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, PAGE);
    show("shared file", s);
    char *q = mmap(area + 20 * PAGE, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 4 * PAGE);
    show("private file", q);
    mmap(area + 22 * PAGE, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 6 * PAGE);
    show("adjacent part of the same file merges", q);
    int local;
    struct row row;
    yes("the stack is named", find(&local, &row) && !strcmp(row.name, "[stack]"));
    sbrk(PAGE);
    yes("the heap is named", find((char *)sbrk(0) - 1, &row) && !strcmp(row.name, "[heap]"));
    yes("the text is executable", find((void *)main, &row) && row.access[2] == 'x');
    unlink("mapped-file");
    yes("a deleted file", find(s, &row) && strstr(row.name, "(deleted)"));
    return 0;
}
