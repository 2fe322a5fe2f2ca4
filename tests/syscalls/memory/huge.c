/* MAP_HUGETLB where no huge page is reserved: sizes, files, what comes first. */
#include "observe.h"

#define try(what, length, flags, fd) done(what, (long)mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0))

int main(void)
{
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    put_text("f", "file");
    int file = open("f", O_RDWR);
    try("usual size", 2 << 20, anonymous, -1);
    try("2 MiB", 2 << 20, anonymous | 21 << 26, -1);
    try("64 KiB", 2 << 20, anonymous | 16 << 26, -1);
    try("largest", 2 << 20, anonymous | (int)(63U << 26), -1);
    try("shared", 2 << 20, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1);
    try("one page", PAGE, anonymous, -1);
    try("a file", PAGE, MAP_SHARED | MAP_HUGETLB, file);
    try("no file", PAGE, MAP_SHARED | MAP_HUGETLB, 999);
    try("no type", PAGE, MAP_ANONYMOUS | MAP_HUGETLB | (int)(63U << 26), -1);
    try("MAP_SYNC", PAGE, MAP_SHARED_VALIDATE | MAP_SYNC, file);
    try("validated, unknown", PAGE, MAP_SHARED_VALIDATE | 1 << 30, file);
    unlink("f");
    return 0;
}
