// build: dynamic
// timeout: 60
/*
 * Threads make system calls at a site whose jump leads to a page that the program believes to be free;
 * another thread maps something of its own there, again and again, and finds zeros.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 2, TIMES = 300, PAGES = 8 };

/* The bytes behind it send the jump 268 MB down. */
__asm__(".pushsection .text.pages, \"ax\", @progbits\n .balign 4096\n"
        "site: mov %edi, %eax\n syscall\n .byte 0x3d, 0x00, 0xf0, 0xff, 0xff\n ret\n"
        " .balign 4096\n .popsection\n");
long site(int);

static volatile int stop;
static long parent;

static void *call(void *wrong)
{
    while (!stop)
        *(long *)wrong += site(SYS_getppid) != parent;
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    long wrong[THREADS] = {0}, refused = 0, dirty = 0, readable = 0;
    int ends[2];
    parent = getppid();
    pipe(ends);
    for (int i = 0; i < 5; i++)
        site(SYS_getppid);
    uint8_t *window = (uint8_t *)(((uintptr_t)site + 7 - 0x0fffc300 - 2 * PAGE) & ~(uintptr_t)(PAGE - 1));
    for (int i = 0; i < PAGES; i++)
        readable += write(ends[1], window + i * PAGE, 1) >= 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, call, &wrong[i]);
    for (int i = 0; i < TIMES; i++) {
        uint8_t *own = mmap(window, PAGES * PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (own != window) {
            refused++;
            continue;
        }
        for (int n = 0; n < PAGES * PAGE; n += 8)
            dirty += *(uint64_t *)(own + n) != 0;
        memset(own, 0x5a, PAGES * PAGE);
        if (i % 8 == 0)
            usleep(50);
        for (int n = 0; n < PAGES * PAGE; n++)
            dirty += own[n] != 0x5a;
        munmap(own, PAGES * PAGE);
        usleep(i % 4 ? 100 : 2000); /* time for the threads to use it again */
    }
    stop = 1;
    long all = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        all += wrong[i];
    }
    printf("%ld readable, %ld refused, %ld dirty, %ld calls wrong\n", readable, refused, dirty, all);
    return 0;
}
