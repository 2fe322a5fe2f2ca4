/*
 * Code in a file that is mapped, run and unmapped again and again, its call sites of each shape. argv: how
 * often; a second one: the code changes every time, so that nothing can be known of it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, BARE = 64, SPLIT = 124 };

int main(int argc, char **argv)
{
    static const uint8_t with_mov[] = {0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3};
    static const uint8_t bare[] = {0x89, 0xf8, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3};
    static const off_t gaps[] = {14, 44, 100}; /* near each site */
    long count = argc > 1 ? atol(argv[1]) : 1, wrong = 0, parent = getppid();
    uint8_t page[PAGE];
    memset(page, 0x90, PAGE);
    memcpy(page + BARE - 64, with_mov, sizeof with_mov);
    memcpy(page + BARE, bare, sizeof bare);
    memcpy(page + SPLIT, with_mov, sizeof with_mov);
    int file = open("/tmp", O_TMPFILE | O_RDWR, 0700);
    if (file < 0 || write(file, page, PAGE) != PAGE)
        return 1;
    for (long i = 0; i < count; i++) {
        if (argc > 2)
            for (size_t gap = 0; gap < sizeof gaps / sizeof *gaps; gap++)
                pwrite(file, &i, sizeof i, gaps[gap]);
        uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
        if (code == MAP_FAILED)
            return 1;
        for (int n = 0; n < 2; n++) {
            wrong += ((long (*)(int))code)(0) != parent;
            wrong += ((long (*)(int))(code + BARE))(SYS_getppid) != parent;
            wrong += ((long (*)(int))(code + SPLIT))(0) != parent;
        }
        munmap(code, PAGE);
    }
    printf("%ld times, %ld wrong\n", count, wrong);
    return wrong != 0;
}
