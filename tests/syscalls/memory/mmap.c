// build: static musl
/* mmap: flags, protections, addresses, hints, errors. */
#include "observe.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

int main(void)
{
    char *p = mapped("anonymous", mmap(NULL, 3 * PAGE, RW, ANON, -1, 0));
    yes("page aligned", ((uintptr_t)p & (PAGE - 1)) == 0);
    yes("zero", p[0] == 0 && p[3 * PAGE - 1] == 0);
    p[0] = 'a';
    p[2 * PAGE] = 'c';
    mapped("no bytes", mmap(NULL, 0, RW, ANON, -1, 0));
    mapped("one byte is a page", mmap(NULL, 1, RW, ANON, -1, 0));
    mapped("neither private nor shared", mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    mapped("both is SHARED_VALIDATE", mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    mapped("SHARED_VALIDATE of a file, unknown flag",
           mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x8000000, open("/proc/self/exe", O_RDONLY), 0));
    mapped("type 0xf", mmap(NULL, PAGE, RW, 0xf | MAP_ANONYMOUS, -1, 0));
    mapped("length of all", mmap(NULL, SIZE_MAX, RW, ANON, -1, 0));
    mapped("length beyond the space", mmap(NULL, 1UL << 48, RW, ANON, -1, 0));
    mapped("no file", mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
    mapped("a closed file", mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0));
    mapped("an odd offset, anonymous", mmap(NULL, PAGE, RW, ANON, -1, 5));
    mapped("PROT_NONE", mmap(NULL, PAGE, PROT_NONE, ANON, -1, 0));
    mapped("unknown protection bits", mmap(NULL, PAGE, 0x100 | PROT_READ, ANON, -1, 0));
    mapped("write and execute", mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0));
    mapped("MAP_POPULATE", mmap(NULL, 4 * PAGE, RW, ANON | MAP_POPULATE, -1, 0));
    mapped("MAP_NORESERVE", mmap(NULL, 4 * PAGE, RW, ANON | MAP_NORESERVE, -1, 0));
    mapped("MAP_STACK", mmap(NULL, 4 * PAGE, RW, ANON | MAP_STACK, -1, 0));
    mapped("MAP_LOCKED", mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
    char *low = mapped("MAP_32BIT", mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0));
    yes("below 2 GiB", (uintptr_t)low < (1UL << 31));

    char *fixed = mapped("MAP_FIXED over the middle", mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    yes("there", fixed == p + PAGE);
    yes("the neighbours stay", p[0] == 'a' && p[2 * PAGE] == 'c');
    fixed[0] = 'b';
    mapped("MAP_FIXED again", mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    yes("is zero", fixed[0] == 0);
    mapped("MAP_FIXED unaligned", mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    mapped("MAP_FIXED in the kernel's half", mmap((void *)0xffff800000000000, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    mapped("NOREPLACE over something", mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    mapped("NOREPLACE over a part", mmap(p - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    munmap(p + PAGE, PAGE);
    mapped("NOREPLACE into a hole", mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    munmap(p + PAGE, PAGE);
    yes("a hint that is free is taken", mmap(p + PAGE, PAGE, RW, ANON, -1, 0) == p + PAGE);
    char *moved = mmap(p, PAGE, RW, ANON, -1, 0);
    yes("a hint that is not is not", moved != p && moved != MAP_FAILED);
    yes("and what was there stays", p[0] == 'a');
    munmap(moved, PAGE);
    moved = mmap(moved + 123, PAGE, RW, ANON, -1, 0);
    yes("an unaligned hint is rounded", ((uintptr_t)moved & (PAGE - 1)) == 0);
    moved = mmap((void *)0xffff800000000000, PAGE, RW, ANON, -1, 0);
    mapped("a hint in the kernel's half is ignored", moved);

    value("munmap the middle", munmap(p + PAGE, PAGE));
    value("munmap again", munmap(p + PAGE, PAGE));
    value("munmap unaligned", munmap(p + 1, PAGE));
    value("munmap no bytes", munmap(p, 0));
    value("munmap unaligned length", munmap(p, 1));
    value("munmap in the kernel's half", munmap((void *)0xffff800000000000, PAGE));
    value("munmap beyond the space", munmap((void *)0x7ffffffff000, 2 * PAGE));
    yes("the last stays", p[2 * PAGE] == 'c');

    void *huge = mapped("8 TiB of PROT_NONE", mmap(NULL, 8UL << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    value("a page in its middle", mprotect((char *)huge + (4UL << 40), PAGE, RW));
    ((char *)huge)[4UL << 40] = 1;
    value("away", munmap(huge, 8UL << 40));
    huge = mapped("100 GiB, untouched, NORESERVE", mmap(NULL, 100UL << 30, RW, ANON | MAP_NORESERVE, -1, 0));
    ((char *)huge)[50UL << 30] = 1;
    value("away", munmap(huge, 100UL << 30));

    int pattern = 1;
    char *area = fresh(64 * PAGE);
    for (int i = 0; i < 64; i++)
        area[i * PAGE] = (char)i;
    for (int i = 1; i < 64; i += 2)
        munmap(area + i * PAGE, PAGE);
    for (int i = 0; i < 64; i += 2)
        pattern &= area[i * PAGE] == (char)i;
    yes("every second page unmapped", pattern);
    for (int i = 1; i < 64; i += 2)
        mmap(area + i * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    for (int i = 0; i < 64; i++)
        pattern &= area[i * PAGE] == (i % 2 ? 0 : (char)i);
    yes("and filled again", pattern);
    value("all at once", munmap(area, 64 * PAGE));
    return 0;
}
