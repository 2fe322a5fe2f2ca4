// build: static
/* statmount and listmount, and what statx says of mounts. */
#include "private.h"

#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif

struct request { uint32_t size, fd; uint64_t mount, parameter, space; };

static uint64_t unique(const char *path)
{
    static uint64_t bytes[32];
    need(syscall(SYS_statx, AT_FDCWD, path, 0, 0x4000, bytes) == 0, path);
    yes("STATX_MNT_ID_UNIQUE is told", ((uint32_t *)bytes)[0] & 0x4000);
    return bytes[18];
}

static char answer[4096];

static const char *text(int at)
{
    uint32_t offset;
    memcpy(&offset, answer + at, 4);
    return answer + 512 + offset;
}

static uint64_t word(int at)
{
    uint64_t word;
    memcpy(&word, answer + at, 8);
    return word;
}

int main(void)
{
    struct request request = {24, 0, 0, 0, 0};
    uint64_t ids[4096];
    mkdir("a", 0755);
    value("mount", mount("the source", "a", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=700"));
    mkdir("a/b", 0755);
    value("mount", mount("inner", "a/b", "tmpfs", MS_RDONLY, "size=4k"));
    uint64_t outer = unique("a"), inner = unique("a/b");
    yes("numbers grow", inner > outer && outer > 1UL << 31);

    request.mount = outer;
    request.parameter = 0x2 | 0x1 | 0x8 | 0x20 | 0x80 | 0x200;
    value("statmount", syscall(SYS_statmount, &request, answer, sizeof answer, 0));
    say("mask %lx", (long)word(8));
    yes("its number", word(40) == outer);
    yes("its parent is another", word(48) != outer && word(48));
    say("attributes %lx, sharing %lx, group %ld", (long)word(64), (long)word(72), (long)word(80));
    say("magic %lx", (long)word(24));
    say("root %s, type %s, options %s, source %s", text(104), text(36), text(4), text(124));
    request.parameter = 0x10;
    value("its place", syscall(SYS_statmount, &request, answer, sizeof answer, 0));
    yes("ends in /a", strcmp(text(108) + strlen(text(108)) - 2, "/a") == 0);
    request.mount = inner;
    request.parameter = 3;
    value("the inner one", syscall(SYS_statmount, &request, answer, sizeof answer, 0));
    yes("below the outer", word(48) == outer);
    say("attributes %lx, flags %x", (long)word(64), *(uint32_t *)(answer + 32));
    say("size %u", *(uint32_t *)answer);
    memset(answer, 7, sizeof answer);
    value("a part", syscall(SYS_statmount, &request, answer, 16, 0));
    say("%d %d", answer[15], answer[16]);
    request.parameter = 0x20;
    value("no room for a text", syscall(SYS_statmount, &request, answer, 514, 0));
    value("unknown flags", syscall(SYS_statmount, &request, answer, sizeof answer, 8));
    value("bad buffer", syscall(SYS_statmount, &request, (void *)8, sizeof answer, 0));
    value("bad request", syscall(SYS_statmount, (void *)8, answer, sizeof answer, 0));
    request.size = 16;
    value("short request", syscall(SYS_statmount, &request, answer, sizeof answer, 0));
    request.size = 24;
    request.mount = 5;
    value("an old number", syscall(SYS_statmount, &request, answer, sizeof answer, 0));
    request.mount = 1UL << 60;
    value("no such mount", syscall(SYS_statmount, &request, answer, sizeof answer, 0));

    request.mount = outer;
    request.parameter = 0;
    value("below the outer one", syscall(SYS_listmount, &request, ids, 10, 0));
    yes("the inner one", ids[0] == inner);
    request.mount = inner;
    value("below the inner one", syscall(SYS_listmount, &request, ids, 10, 0));
    request.mount = ~0UL;
    long all = syscall(SYS_listmount, &request, ids, 4096, 0);
    yes("all", all > 2 && ids[all - 1] == inner && ids[all - 2] == outer);
    value("the last first", syscall(SYS_listmount, &request, ids, 2, 1));
    yes("in that order", ids[0] == inner && ids[1] == outer);
    request.parameter = outer;
    value("behind the outer one", syscall(SYS_listmount, &request, ids, 100, 0));
    request.parameter = 7;
    value("behind an old number", syscall(SYS_listmount, &request, ids, 100, 0));
    request.parameter = 0;
    value("unknown flags", syscall(SYS_listmount, &request, ids, 100, 2));
    value("too many", syscall(SYS_listmount, &request, ids, 1000001, 0));
    value("none", syscall(SYS_listmount, &request, ids, 0, 0));
    value("bad buffer", syscall(SYS_listmount, &request, (void *)8, 100, 0));
    return 0;
}
