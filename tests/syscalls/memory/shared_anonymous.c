/* MAP_SHARED | MAP_ANONYMOUS and memfd: one memory seen at many addresses. */
#include "faults.h"

int main(void)
{
    catch_faults();
    char *s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s[0] = 's';
    char *twin = mremap(s, 0, 2 * PAGE, MREMAP_MAYMOVE);
    mapped("twin", twin);
    yes("one memory", twin[0] == 's' && (twin[PAGE] = 't', s[PAGE] == 't'));
    munmap(s, 2 * PAGE);
    yes("lives on", twin[0] == 's');
    int fd = memfd_create("m", 0);
    ftruncate(fd, 4 * PAGE);
    char *views[8];
    for (int i = 0; i < 8; i++)
        views[i] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int same = 1;
    for (int i = 0; i < 8; i++) {
        views[i][i * 100] = (char)(i + 1);
        for (int j = 0; j < 8; j++)
            same &= views[j][i * 100] == i + 1;
    }
    yes("eight views agree", same);
    char *ring = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mmap(ring, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    mmap(ring + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    memcpy(ring + 4 * PAGE - 3, "magic", 5);
    say("a ring by double mapping: %.2s", ring);
    char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    w[0] = (char)0xc3;
    say("written at one address, run at another: %s", runs(x));
    return 0;
}
