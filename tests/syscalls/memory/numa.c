/* NUMA policies with one node: modes, flags, masks and their sizes, what is told back, homes, moving pages. */
#include "observe.h"
#include <pthread.h>

enum { DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY, WEIGHTED, MODES };
enum { STATIC = 0x8000, RELATIVE = 0x4000, BALANCING = 0x2000 };
#define NODE_FLAG 1
#define ADDR 2
#define ALLOWED 4

static void told(const char *what, void *address, int flags)
{
    int mode = -1;
    unsigned long nodes[16];
    memset(nodes, 0xff, sizeof nodes);
    long result = syscall(SYS_get_mempolicy, &mode, nodes, 1024, address, flags);
    if (result)
        say("%s: %s", what, errno_name(errno));
    else
        say("%s: mode %x nodes %lx %lx %lx", what, mode, nodes[0], nodes[1], nodes[15]);
}

static void *in_thread(void *unused)
{
    told("inherited by a thread", NULL, 0);
    value("which sets its own", syscall(SYS_set_mempolicy, BIND, &(unsigned long){1}, 64));
    told("and has it", NULL, 0);
    return unused;
}

int main(void)
{
    static const int masks[] = {0, 1, 2, 3};
    static const int flags[] = {0, STATIC, RELATIVE, STATIC | RELATIVE, BALANCING};
    char text[80];
    for (int mode = 0; mode <= MODES; mode++)
        for (size_t f = 0; f < 5; f++)
            for (size_t m = 0; m < 4; m++) {
                unsigned long mask = masks[m];
                long result = syscall(SYS_set_mempolicy, mode | flags[f], &mask, 64);
                snprintf(text, sizeof text, "mode %d flags %x mask %lx %s", mode, flags[f], mask, result ? errno_name(errno) : "then");
                told(text, NULL, 0);
            }
    say("-- sizes of masks");
    unsigned long mask[64] = {1};
    static const unsigned long sizes[] = {0, 1, 2, 64, 65, 1024, 1025, 2048, 32768, 32769, 32770, -1UL};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(text, sizeof text, "set with %ld bits", (long)sizes[i]);
        value(text, syscall(SYS_set_mempolicy, BIND, sizes[i] > 2048 ? fresh(2 * PAGE) : mask, sizes[i]));
    }
    mask[1] = 1;
    value("a node beyond the first word", syscall(SYS_set_mempolicy, BIND, mask, 128));
    value("which is cut off", syscall(SYS_set_mempolicy, BIND, mask, 65));
    value("and half so", syscall(SYS_set_mempolicy, BIND, mask, 66));
    mask[1] = 0, mask[20] = 1;
    value("a node beyond all", syscall(SYS_set_mempolicy, BIND, mask, 2048));
    value("a mask at 1", syscall(SYS_set_mempolicy, BIND, 1, 64));
    value("no mask", syscall(SYS_set_mempolicy, BIND, NULL, 64));
    value("no mask, interleaved", syscall(SYS_set_mempolicy, INTERLEAVE, NULL, 0));
    value("no mask, preferred", syscall(SYS_set_mempolicy, PREFERRED, NULL, 0));
    told("is local", NULL, 0);

    say("-- get");
    int mode = 77;
    unsigned long nodes[64];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *out = fresh(2 * PAGE);
        memset(out, 0xff, 2 * PAGE);
        snprintf(text, sizeof text, "get with %ld bits", (long)sizes[i]);
        value(text, syscall(SYS_get_mempolicy, NULL, out, sizes[i], NULL, 0));
        int n = 0;
        while (n < (int)(2 * PAGE) && out[n] == 0)
            n++;
        say("  zeros %d", n);
    }
    value("no place", syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0));
    value("mode at 1", syscall(SYS_get_mempolicy, 1, NULL, 0, NULL, 0));
    value("nodes at 1", syscall(SYS_get_mempolicy, &mode, 1, 64, NULL, 0));
    value("unknown flags", syscall(SYS_get_mempolicy, &mode, nodes, 64, NULL, 8));
    value("address without its flag", syscall(SYS_get_mempolicy, &mode, nodes, 64, text, 0));
    told("allowed", NULL, ALLOWED);
    told("allowed, with an address", text, ALLOWED);
    told("allowed, and more", NULL, ALLOWED | ADDR);
    told("node alone", NULL, NODE_FLAG);
    need(syscall(SYS_set_mempolicy, INTERLEAVE, (mask[20] = 0, mask), 64) == 0, "interleave");
    told("node of interleaving", NULL, NODE_FLAG);
    need(syscall(SYS_set_mempolicy, WEIGHTED, mask, 64) == 0, "weighted");
    told("node of weighted interleaving", NULL, NODE_FLAG);
    told("no address", NULL, ADDR);
    char *p = fresh(8 * PAGE);
    memset(p, 1, 8 * PAGE);
    told("of memory", p, ADDR);
    told("node of memory", p + 5, ADDR | NODE_FLAG);
    munmap(p + 7 * PAGE, PAGE);
    told("of none", p + 7 * PAGE, ADDR);
    told("node of none", p + 7 * PAGE, ADDR | NODE_FLAG);
    mprotect(p + 6 * PAGE, PAGE, PROT_NONE);
    told("node of PROT_NONE", p + 6 * PAGE, ADDR | NODE_FLAG);
    pthread_t thread;
    need(pthread_create(&thread, NULL, in_thread, NULL) == 0, "thread");
    pthread_join(thread, NULL);
    told("still", NULL, 0);

    say("-- mbind");
    value("one page", syscall(SYS_mbind, p + PAGE, PAGE, BIND, mask, 64, 0));
    told("before", p, ADDR);
    told("it", p + PAGE, ADDR);
    told("behind", p + 2 * PAGE, ADDR);
    value("statically", syscall(SYS_mbind, p + PAGE, 2 * PAGE, PREFERRED | STATIC, mask, 64, 0));
    told("it", p + PAGE, ADDR);
    mask[0] = 3;
    value("with a node that is not there", syscall(SYS_mbind, p + PAGE, PAGE, BIND | STATIC, mask, 64, 0));
    told("it", p + PAGE, ADDR);
    mask[0] = 2;
    value("with only such", syscall(SYS_mbind, p + PAGE, PAGE, BIND, mask, 64, 0));
    mask[0] = 1;
    value("back", syscall(SYS_mbind, p + PAGE, 2 * PAGE, DEFAULT, NULL, 0, 0));
    told("it", p + PAGE, ADDR);
    value("default with nodes", syscall(SYS_mbind, p, PAGE, DEFAULT, mask, 64, 0));
    value("unaligned", syscall(SYS_mbind, p + 1, PAGE, BIND, mask, 64, 0));
    value("unaligned length", syscall(SYS_mbind, p, 1, BIND, mask, 64, 0));
    value("no length", syscall(SYS_mbind, p, 0, BIND, mask, 64, 0));
    value("no length, bad mode", syscall(SYS_mbind, p, 0, 99, mask, 64, 0));
    value("overflow", syscall(SYS_mbind, p, -PAGE, BIND, mask, 64, 0));
    value("unknown flags", syscall(SYS_mbind, p, PAGE, BIND, mask, 64, 8));
    value("strict", syscall(SYS_mbind, p, PAGE, BIND, mask, 64, 1));
    value("strict and move", syscall(SYS_mbind, p, PAGE, BIND, mask, 64, 3));
    value("move all", syscall(SYS_mbind, p, PAGE, BIND, mask, 64, 4));
    value("into a hole", syscall(SYS_mbind, p + 5 * PAGE, 3 * PAGE, BIND, mask, 64, 0));
    value("a hole", syscall(SYS_mbind, p + 7 * PAGE, PAGE, BIND, mask, 64, 0));
    value("default over a hole", syscall(SYS_mbind, p + 5 * PAGE, 3 * PAGE, DEFAULT, NULL, 0, 0));
    value("default of a hole", syscall(SYS_mbind, p + 7 * PAGE, PAGE, DEFAULT, NULL, 0, 0));
    value("mask at 1", syscall(SYS_mbind, p, PAGE, BIND, 1, 64, 0));

    say("-- homes");
#define home(address, length, node, flags) syscall(SYS_set_mempolicy_home_node, address, length, (unsigned long)(node), (unsigned long)(flags))
    need(syscall(SYS_mbind, p, 4 * PAGE, DEFAULT, NULL, 0, 0) == 0, "default");
    value("without a policy", home(p, PAGE, 0, 0));
    need(syscall(SYS_mbind, p, PAGE, BIND, mask, 64, 0) == 0, "bind");
    need(syscall(SYS_mbind, p + PAGE, PAGE, PREFERRED_MANY, mask, 64, 0) == 0, "many");
    need(syscall(SYS_mbind, p + 2 * PAGE, PAGE, INTERLEAVE, mask, 64, 0) == 0, "interleave");
    value("bound", home(p, PAGE, 0, 0));
    value("both", home(p, 2 * PAGE, 0, 0));
    value("interleaved", home(p + 2 * PAGE, PAGE, 0, 0));
    value("with one behind that has none", home(p + PAGE, PAGE, 0, 0));
    value("unaligned", home(p + 1, PAGE, 0, 0));
    value("flags", home(p, PAGE, 0, 1));
    value("no such node", home(p, PAGE, 1, 0));
    value("none", home(p, PAGE, -1, 0));
    value("no length", home(p, 0, 0, 0));
    value("overflow", home(p, -PAGE, 0, 0));
    told("the policy stays", p, ADDR);

    say("-- migrate_pages");
    unsigned long from[2] = {1, 0}, to[2] = {1, 0};
    value("from 0 to 0", syscall(SYS_migrate_pages, 0, 64, from, to));
    value("of oneself by number", syscall(SYS_migrate_pages, getpid(), 64, from, to));
    value("no such process", syscall(SYS_migrate_pages, 4100000, 64, from, to));
    to[0] = 2;
    value("to 1", syscall(SYS_migrate_pages, 0, 64, from, to));
    to[0] = 3;
    value("to both", syscall(SYS_migrate_pages, 0, 64, from, to));
    to[0] = 0;
    value("to none", syscall(SYS_migrate_pages, 0, 64, from, to));
    value("from a bad mask", syscall(SYS_migrate_pages, 0, 64, 1, to));
    value("to a bad mask", syscall(SYS_migrate_pages, 0, 64, from, 1));
    value("too many bits", syscall(SYS_migrate_pages, 0, 40000, from, from));

    say("-- move_pages");
    void *pages[4] = {p, p + PAGE + 5, p + 7 * PAGE, NULL};
    int where[4] = {0, 0, 0, 0}, status[4] = {77, 77, 77, 77};
    value("ask", syscall(SYS_move_pages, 0, 4UL, pages, NULL, status, 0));
    say("%d %d %s %s", status[0], status[1], errno_name(-status[2]), errno_name(-status[3]));
    value("move to 0", syscall(SYS_move_pages, getpid(), 3UL, pages, where, status, 2));
    say("%d %d %s", status[0], status[1], errno_name(-status[2]));
    where[1] = 1;
    value("move to 1", syscall(SYS_move_pages, 0, 2UL, pages, where, status, 2));
    where[1] = -1;
    value("move to -1", syscall(SYS_move_pages, 0, 2UL, pages, where, status, 2));
    value("unknown flags", syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, 1));
    value("all", syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, 4));
    value("no such process", syscall(SYS_move_pages, 4100000, 0UL, NULL, NULL, NULL, 0));
    value("bad pages", syscall(SYS_move_pages, 0, 1UL, 1, NULL, status, 0));
    value("bad status", syscall(SYS_move_pages, 0, 1UL, pages, NULL, 1, 0));
    value("bad nodes", syscall(SYS_move_pages, 0, 1UL, pages, 1, status, 0));

    say("-- without privileges");
    need(setresuid(1000, 1000, 1000) == 0, "setresuid");
    value("mbind all", syscall(SYS_mbind, p, PAGE, BIND, mask, 64, 4));
    value("move all", syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, 4));
    to[0] = 2;
    value("migrate to 1", syscall(SYS_migrate_pages, 0, 64, from, to));
    return 0;
}
