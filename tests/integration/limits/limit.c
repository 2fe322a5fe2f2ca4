/* Asks for more memory than the enclave may have, in the way that the argument names, and goes on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define TOO_MUCH (512UL << 20)

static int deep(unsigned long left)
{
    volatile char frame[1 << 16];
    frame[0] = 1;
    return left > sizeof frame ? deep(left - sizeof frame) + frame[0] : 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "mmap")) {
        void *p = mmap(NULL, TOO_MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("%s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
    } else if (!strcmp(how, "shared")) {
        void *p = mmap(NULL, TOO_MUCH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        printf("%s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
    } else if (!strcmp(how, "brk")) {
        void *p = sbrk(TOO_MUCH);
        printf("%s\n", p == (void *)-1 ? strerror(errno) : "grown");
    } else if (!strcmp(how, "mprotect")) {
        void *p = mmap(NULL, TOO_MUCH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("%s\n", mprotect(p, TOO_MUCH, PROT_READ | PROT_WRITE) ? strerror(errno) : "opened");
    } else if (!strcmp(how, "file")) {
        static char bytes[1 << 20];
        int fd = open("/tmp/big", O_CREAT | O_WRONLY, 0600);
        long n = 0;
        errno = 0;
        for (unsigned long i = 0; i < TOO_MUCH && (n = write(fd, bytes, sizeof bytes)) > 0; i += sizeof bytes)
            ;
        printf("%s\n", n < 0 ? strerror(errno) : "written");
        unlink("/tmp/big");
    } else if (!strcmp(how, "touch")) {
        char *p = mmap(NULL, TOO_MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        printf("%s\n", p == MAP_FAILED ? strerror(errno) : "mapped");
        fflush(stdout);
        for (unsigned long i = 0; i < TOO_MUCH; i += 4096)
            p[i] = 1;
        puts("touched");
    } else if (!strcmp(how, "stack")) {
        struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_STACK, &none);
        printf("%d\n", deep(TOO_MUCH) > 0);
    } else if (!strcmp(how, "view")) {
        char text[256];
        for (int i = 2; i < argc; i++) {
            int fd = open(argv[i], O_RDONLY);
            long n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
            printf("%s: %.*s", argv[i], n < 0 ? 0 : (int)n, text);
        }
        void *p = mmap(NULL, TOO_MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int fd = open("/sys/fs/cgroup/memory.events", O_RDONLY);
        long n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        printf("%.*s", (int)n, p == MAP_FAILED ? text : "");
    }
    fflush(stdout);
    return 0;
}
