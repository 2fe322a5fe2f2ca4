// build: static
/* Calls of recent kernels: attributes relative to a directory, cached pages, handles. */
#include "observe.h"

struct attribute { uint64_t value; uint32_t size, flags; uint64_t more; };
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif
#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#define SYS_file_setattr 469
#endif

static void attributes(void)
{
    char bytes[64] = {0};
    put_text("f", "text");
    symlink("f", "l");
    int dir = open(".", O_RDONLY | O_DIRECTORY), fd = open("f", O_RDONLY), path = open("f", O_PATH);
    struct attribute set = {(uintptr_t)"value", 5, 0, 0}, get = {(uintptr_t)bytes, sizeof bytes, 0, 0};
    value("set", syscall(SYS_setxattrat, dir, "f", 0, "user.a", &set, 16));
    value("set by a longer structure", syscall(SYS_setxattrat, dir, "l", 0, "user.b", &set, 24));
    value("set by descriptor", syscall(SYS_setxattrat, fd, "", AT_EMPTY_PATH, "user.c", &set, 16));
    value("set by descriptor, NULL", syscall(SYS_setxattrat, fd, NULL, AT_EMPTY_PATH, "user.c", &set, 16));
    value("set by O_PATH", syscall(SYS_setxattrat, path, "", AT_EMPTY_PATH, "user.c", &set, 16));
    value("set of the link", syscall(SYS_setxattrat, dir, "l", AT_SYMLINK_NOFOLLOW, "user.c", &set, 16));
    set.flags = 1;
    value("set anew", syscall(SYS_setxattrat, dir, "f", 0, "user.a", &set, 16));
    set.flags = 4;
    value("set, unknown flags", syscall(SYS_setxattrat, dir, "f", 0, "user.a", &set, 16));
    set.flags = 0;
    set.more = 1;
    value("set, something behind", syscall(SYS_setxattrat, dir, "f", 0, "user.a", &set, 24));
    value("set, short", syscall(SYS_setxattrat, dir, "f", 0, "user.a", &set, 15));
    value("set, long", syscall(SYS_setxattrat, dir, "f", 0, "user.a", &set, 5000));
    value("set, bad structure", syscall(SYS_setxattrat, dir, "f", 0, "user.a", (void *)8, 16));
    value("set, unknown AT_", syscall(SYS_setxattrat, dir, "f", 0x40, "user.a", &set, 16));
    value("set, empty path", syscall(SYS_setxattrat, dir, "", 0, "user.a", &set, 16));
    value("set, bad descriptor", syscall(SYS_setxattrat, 999, "f", 0, "user.a", &set, 16));
    value("get", syscall(SYS_getxattrat, dir, "f", 0, "user.a", &get, 16));
    say("%s", bytes);
    value("get by descriptor", syscall(SYS_getxattrat, fd, "", AT_EMPTY_PATH, "user.b", &get, 16));
    get.size = 2;
    value("get, too small", syscall(SYS_getxattrat, dir, "f", 0, "user.a", &get, 16));
    get.size = 0;
    value("get the size", syscall(SYS_getxattrat, dir, "f", 0, "user.a", &get, 16));
    get.flags = 1;
    value("get with flags", syscall(SYS_getxattrat, dir, "f", 0, "user.a", &get, 16));
    value("get none", syscall(SYS_getxattrat, dir, "f", 0, "user.none", &set, 16));
    value("list", syscall(SYS_listxattrat, dir, "f", 0, bytes, sizeof bytes));
    value("list size", syscall(SYS_listxattrat, fd, "", AT_EMPTY_PATH, NULL, 0));
    value("list, unknown AT_", syscall(SYS_listxattrat, fd, "", 1, NULL, 0));
    value("remove", syscall(SYS_removexattrat, dir, "f", 0, "user.a"));
    value("remove again", syscall(SYS_removexattrat, dir, "f", 0, "user.a"));
    value("remove, unknown AT_", syscall(SYS_removexattrat, dir, "f", 1, "user.a"));
    close(dir);
    close(fd);
    close(path);
}

static void cached(void)
{
    uint64_t range[2] = {0, 0}, told[5];
    int fd = memfd_create("m", 0);
    ftruncate(fd, 1 << 20);
    pwrite(fd, "x", 1, 0);
    pwrite(fd, "x", 1, 10 * PAGE);
    pwrite(fd, "x", 1, 100 * PAGE);
    value("cachestat", syscall(SYS_cachestat, fd, range, told, 0));
    say("%ld %ld", (long)told[0], (long)told[2]);
    range[1] = 11 * PAGE;
    value("of a part", syscall(SYS_cachestat, fd, range, told, 0));
    say("%ld", (long)told[0]);
    range[0] = 10 * PAGE + 5;
    range[1] = 1;
    value("of a byte", syscall(SYS_cachestat, fd, range, told, 0));
    say("%ld", (long)told[0]);
    value("unknown flags", syscall(SYS_cachestat, fd, range, told, 1));
    value("bad range", syscall(SYS_cachestat, fd, 8, told, 0));
    value("bad answer", syscall(SYS_cachestat, fd, range, 8, 0));
    value("bad descriptor", syscall(SYS_cachestat, -1, range, told, 0));
    close(fd);
}

static void handles(void)
{
    struct { unsigned bytes; int type; char handle[256]; } handle = {4096, 0, {0}};
    int mount;
    value("unknown flags", syscall(SYS_name_to_handle_at, AT_FDCWD, "f", &handle, &mount, 0x40));
    value("no file", syscall(SYS_name_to_handle_at, AT_FDCWD, "none", &handle, &mount, 0));
    value("too long a handle", syscall(SYS_name_to_handle_at, AT_FDCWD, "f", &handle, &mount, 0));
    value("bad handle", syscall(SYS_name_to_handle_at, AT_FDCWD, "f", (void *)8, &mount, 0));
    value("open too long a handle", syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
    value("open bad handle", syscall(SYS_open_by_handle_at, AT_FDCWD, (void *)8, O_RDONLY));
    handle.bytes = 0;
    value("open an empty handle", syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
    uint64_t own[4];
    value("file_getattr, short", syscall(SYS_file_getattr, AT_FDCWD, "f", own, 8, 0));
    value("file_getattr, long", syscall(SYS_file_getattr, AT_FDCWD, "f", own, 5000, 0));
    value("file_getattr, unknown flags", syscall(SYS_file_getattr, AT_FDCWD, "f", own, 24, 1));
    value("file_getattr of nothing", syscall(SYS_file_getattr, AT_FDCWD, "none", own, 24, 0));
    value("file_setattr, short", syscall(SYS_file_setattr, AT_FDCWD, "f", own, 8, 0));
}

int main(void)
{
    attributes();
    cached();
    handles();
    return 0;
}
