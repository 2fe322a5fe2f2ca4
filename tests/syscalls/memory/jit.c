// build: static dynamic
/* A small compiler at run time: code in anonymous memory computes, rewrites itself, and makes system calls. */
#include "observe.h"
#include <sys/uio.h>

typedef long (*function)(long, long);

static function emit(unsigned char *at, const unsigned char *code, size_t n)
{
    mprotect(at, PAGE, PROT_READ | PROT_WRITE);
    memcpy(at, code, n);
    mprotect(at, PAGE, PROT_READ | PROT_EXEC);
    return (function)(uintptr_t)at;
}

int main(void)
{
    unsigned char *page = fresh(PAGE);
    static const unsigned char add[] = {0x48, 0x8d, 0x04, 0x37, 0xc3};             /* lea (%rdi,%rsi),%rax; ret */
    static const unsigned char mul[] = {0x48, 0x89, 0xf8, 0x48, 0x0f, 0xaf, 0xc6, 0xc3}; /* mov; imul; ret */
    static const unsigned char getpid_code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};    /* mov $39,%eax; syscall */
    static const unsigned char getppid_code[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
    say("add %ld", emit(page, add, sizeof add)(20, 22));
    say("mul %ld", emit(page, mul, sizeof mul)(6, 7));
    yes("getpid", emit(page, getpid_code, sizeof getpid_code)(0, 0) == getpid());
    int same = 1;
    for (int i = 0; i < 2000; i++)
        same &= ((function)(uintptr_t)page)(0, 0) == getpid();
    yes("2000 times", same);
    yes("the code reads back as written", !memcmp(page, getpid_code, sizeof getpid_code));
    yes("rewritten: getppid", emit(page, getppid_code, sizeof getppid_code)(0, 0) == getppid());
    int p[2];
    pipe(p);
    struct iovec v = {page, sizeof getppid_code};
    writev(p[1], &v, 1);
    unsigned char seen[16];
    read(p[0], seen, sizeof getppid_code);
    yes("write(2) shows the code as written", !memcmp(seen, getppid_code, sizeof getppid_code));

    unsigned char *rwx = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(rwx, getpid_code, sizeof getpid_code);
    same = 1;
    for (int i = 0; i < 1000; i++) { /* alternate the number in place while it runs */
        rwx[1] = i % 2 ? 110 : 39;
        same &= ((function)(uintptr_t)rwx)(0, 0) == (i % 2 ? getppid() : getpid());
    }
    yes("self-modifying with system calls", same);
    int fd = memfd_create("jit", 0);
    ftruncate(fd, PAGE);
    unsigned char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    memcpy(w, getpid_code, sizeof getpid_code);
    yes("dual mapping", ((function)(uintptr_t)x)(0, 0) == getpid());
    memcpy(w, add, sizeof add);
    say("dual mapping rewritten %ld", ((function)(uintptr_t)x)(1, 2));
    return 0;
}
