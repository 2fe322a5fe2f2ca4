// build: static no-pie
// timeout: 60
/*
 * Sites that only the third rule can rewrite: the jump over what stands behind the `syscall` would lead
 * below the program, and no number is loaded before it. Dead bytes near them are there, or not, or not
 * dead. Every call works, registers are kept, and text reads as it was linked.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 3 };

/* `add $-1,%rax` behind it leads 0x80... bytes below any program at 4 MiB: no window. */
#define CALL "syscall\n .byte 0x48, 0x89, 0xc0 + 0x00\n"
#define FUNCTION(name) \
    ".globl " #name "\n .type " #name ", @function\n" #name ": .cfi_startproc\n"
#define END(name) ".cfi_endproc\n .size " #name ", . - " #name "\n"

__asm__(".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "page_start:\n"
        /* int3 up to the next function, as Go has it. */
        FUNCTION(with_int3) "mov %edi, %eax\n" CALL "ret\n" END(with_int3)
        ".fill 9, 1, 0xcc\n"
        /* Two sites, one stretch of nops behind a jump. */
        FUNCTION(two_sites) "mov %edi, %eax\n" CALL "mov %edi, %eax\n" CALL "jmp 1f\n1: ret\n nop\n" END(two_sites)
        " .nops 20\n"
        /* Room for less than a jump. */
        FUNCTION(no_room) "mov %edi, %eax\n" CALL "ret\n" END(no_room)
        ".fill 4, 1, 0xcc\n"
        /* What looks like padding is run through. */
        FUNCTION(fallen_through) "mov %edi, %eax\n" CALL "jmp 2f\n .fill 9, 1, 0x90\n"
        "2: nop\n nop\n nop\n nop\n nop\n nop\n ret\n" END(fallen_through)
        /* What looks like padding is jumped into. */
        FUNCTION(jumped_into) "mov %edi, %eax\n" CALL "jmp 3f\n ret\n .fill 3, 1, 0x90\n3: .fill 9, 1, 0x90\n"
        END(jumped_into)
        FUNCTION(landing) "ret\n" END(landing)
        ".fill 3, 1, 0xcc\n"
        /* No padding within reach: a long function around it. */
        FUNCTION(too_far) " .fill 200, 1, 0x90\n mov %edi, %eax\n" CALL " .fill 200, 1, 0x90\n ret\n" END(too_far)
        ".fill 20, 1, 0xcc\n"
        /* The padding before the function serves too. */
        FUNCTION(before) "mov %edi, %eax\n" CALL " .fill 200, 1, 0x90\n ret\n" END(before)
        ".balign 64\n .fill 63, 1, 0x90\n"
        ".balign 4096\n"
        /* The two bytes lie on two pages, the padding on the second. */
        ".fill 4093, 1, 0xcc\n"
        FUNCTION(two_pages) "mov %edi, %eax\n" CALL "ret\n" END(two_pages)
        ".fill 30, 1, 0xcc\n"
        FUNCTION(last) "ret\n" END(last)
        ".balign 4096\n .popsection\n");

extern uint8_t page_start[];
#define SITES(X) X(with_int3) X(two_sites) X(no_room) X(fallen_through) X(jumped_into) X(too_far) X(before) X(two_pages)
#define DECLARE(name) long name(long number, ...);
SITES(DECLARE)
#define POINTER(name) name,
static long (*const sites[])(long, ...) = {SITES(POINTER)};
#define NAME(name) #name,
static const char *const names[] = {SITES(NAME)};
enum { COUNT = sizeof sites / sizeof *sites };

static long parent;
static uint8_t linked[PAGES * PAGE], copy[PAGES * PAGE];

static void say(const char *what, int good)
{
    printf("%s: %s\n", what, good ? "yes" : "no");
}

/* All registers that a call keeps, and the red zone. */
static int keeps(long (*site)(long, ...))
{
    static long good, got;
    __asm__ volatile("lea -256(%%rsp), %%rsp\n"
                     "movq $0x1234, %%rbx\n mov $0x77, %%r12d\n mov $0x88, %%r13d\n mov $0x99, %%r14d\n"
                     "mov $0xaa, %%r8d\n mov $0xbb, %%r9d\n mov $0xcc, %%r10d\n mov $0xdd, %%edx\n mov $0xee, %%esi\n"
                     "mov $110, %%edi\n"
                     "movq $0x5555, -16(%%rsp)\n"
                     "call *%%rax\n"
                     "mov %%rax, (%[got])\n"
                     "xor %%eax, %%eax\n"
                     "cmp $0x1234, %%rbx\n jne 1f\n cmp $0x77, %%r12\n jne 1f\n cmp $0x88, %%r13\n jne 1f\n"
                     "cmp $0x99, %%r14\n jne 1f\n cmp $0xaa, %%r8\n jne 1f\n cmp $0xbb, %%r9\n jne 1f\n"
                     "cmp $0xcc, %%r10\n jne 1f\n cmp $0xdd, %%rdx\n jne 1f\n cmp $0xee, %%rsi\n jne 1f\n"
                     "cmp $110, %%rdi\n jne 1f\n cmpq $0x5555, -16(%%rsp)\n jne 1f\n"
                     "inc %%eax\n"
                     "1: mov %%rax, (%[good])\n lea 256(%%rsp), %%rsp\n"
                     :
                     : [site] "a"(site), [good] "r"(&good), [got] "r"(&got)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory",
                       "cc");
    return good && got == parent;
}

static int same(void)
{
    int ends[2];
    pipe(ends);
    memset(copy, 0, sizeof copy);
    write(ends[1], page_start, sizeof copy);
    read(ends[0], copy, sizeof copy);
    close(ends[0]);
    close(ends[1]);
    return memcmp(copy, linked, sizeof copy) == 0;
}

static volatile int stop;
static volatile long signals;

static void storm(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    signals++;
}

static void *call(void *wrong)
{
    while (!stop)
        for (int i = 0; i < COUNT; i++)
            *(long *)wrong += sites[i](SYS_getppid) != parent;
    return NULL;
}

int main(int argc, char **argv)
{
    parent = getppid();
    if (argc > 1) {
        long bad = 0;
        for (long n = atol(argv[1]); n > 0; n--)
            bad += with_int3(SYS_getppid) != parent || before(SYS_getppid) != parent || two_pages(SYS_getppid) != parent;
        return bad != 0;
    }
    memcpy(linked, page_start, sizeof linked);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            int good = 1;
            for (int n = 0; n < 10; n++)
                good &= keeps(sites[i]);
            say(names[i], good);
        }
        say("text is unchanged", same());
        mprotect(page_start, PAGES * PAGE, PROT_READ | PROT_WRITE);
        say("written to, too", memcmp(page_start, linked, sizeof linked) == 0);
        mprotect(page_start, PAGES * PAGE, PROT_READ | PROT_EXEC);
    }

    /* Threads run it while it comes and goes, and signals ask where they are. */
    struct sigaction action = {.sa_sigaction = storm, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    struct itimerval often = {{0, 997}, {0, 997}};
    setitimer(ITIMER_PROF, &often, NULL);
    pthread_t threads[2];
    long wrong[2] = {0};
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, call, &wrong[i]);
    for (int i = 0; i < 1500; i++) {
        mprotect(page_start, PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        if (i % 64 == 0)
            usleep(100);
        mprotect(page_start, PAGES * PAGE, PROT_READ | PROT_EXEC);
        if (i % 16 == 0)
            usleep(300);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("%ld calls wrong\n", wrong[0] + wrong[1]);
    return 0;
}
