// diagnostics: expected
/* A system call keeps all registers but rax, rcx and r11; rcx is the next instruction, r11 the flags. */
#include "observe.h"

#include <stddef.h>

struct state { uint64_t r[16], flags, xmm[32], rcx_expected; uint8_t red[128]; };
struct state in, out;

/* Fill every register from `in`, make call `nr`, store every register to `out`. The stack pointer stays. */
static __attribute__((noinline)) void call(long nr, int redzone)
{
    in.r[0] = (uint64_t)nr;
    (void)redzone;
    __asm__ volatile(
        "lea in(%%rip), %%rax\n\t"
        "movdqu 136(%%rax), %%xmm0\n\t movdqu 152(%%rax), %%xmm1\n\t movdqu 168(%%rax), %%xmm2\n\t"
        "movdqu 184(%%rax), %%xmm3\n\t movdqu 200(%%rax), %%xmm7\n\t movdqu 216(%%rax), %%xmm8\n\t"
        "movdqu 232(%%rax), %%xmm14\n\t movdqu 248(%%rax), %%xmm15\n\t"
        "push %%rbp\n\t push %%rbx\n\t push %%r12\n\t push %%r13\n\t push %%r14\n\t push %%r15\n\t"
        "lea in(%%rip), %%rax\n\t"
        "mov 8(%%rax), %%rbx\n\t mov 32(%%rax), %%rsi\n\t mov 40(%%rax), %%rdi\n\t mov 48(%%rax), %%rbp\n\t"
        "mov 64(%%rax), %%r8\n\t mov 72(%%rax), %%r9\n\t mov 80(%%rax), %%r10\n\t mov 96(%%rax), %%r12\n\t"
        "mov 104(%%rax), %%r13\n\t mov 112(%%rax), %%r14\n\t mov 120(%%rax), %%r15\n\t mov 24(%%rax), %%rdx\n\t"
        "movabs $0x1122334455667788, %%rcx\n\t mov %%rcx, -8(%%rsp)\n\t mov %%rcx, -64(%%rsp)\n\t mov %%rcx, -128(%%rsp)\n\t"
        "mov (%%rax), %%rax\n\t"
        "stc\n\t std\n\t"
        "syscall\n\t"
        "1:\n\t"
        "mov %%rcx, out+16(%%rip)\n\t"
        "mov %%rax, out(%%rip)\n\t"
        "mov -8(%%rsp), %%rcx\n\t mov %%rcx, out+400(%%rip)\n\t mov -64(%%rsp), %%rcx\n\t mov %%rcx, out+408(%%rip)\n\t"
        "mov -128(%%rsp), %%rcx\n\t mov %%rcx, out+416(%%rip)\n\t"
        "pushfq\n\t pop %%rcx\n\t cld\n\t mov %%rcx, out+128(%%rip)\n\t"
        "mov %%r11, out+88(%%rip)\n\t"
        "lea out(%%rip), %%rax\n\t"
        "mov %%rbx, 8(%%rax)\n\t mov %%rsi, 32(%%rax)\n\t mov %%rdi, 40(%%rax)\n\t mov %%rbp, 48(%%rax)\n\t"
        "mov %%r8, 64(%%rax)\n\t mov %%r9, 72(%%rax)\n\t mov %%r10, 80(%%rax)\n\t mov %%r12, 96(%%rax)\n\t"
        "mov %%r13, 104(%%rax)\n\t mov %%r14, 112(%%rax)\n\t mov %%r15, 120(%%rax)\n\t mov %%rdx, 24(%%rax)\n\t"
        "lea 1b(%%rip), %%rcx\n\t mov %%rcx, 392(%%rax)\n\t"
        "movdqu %%xmm0, 136(%%rax)\n\t movdqu %%xmm1, 152(%%rax)\n\t movdqu %%xmm2, 168(%%rax)\n\t"
        "movdqu %%xmm3, 184(%%rax)\n\t movdqu %%xmm7, 200(%%rax)\n\t movdqu %%xmm8, 216(%%rax)\n\t"
        "movdqu %%xmm14, 232(%%rax)\n\t movdqu %%xmm15, 248(%%rax)\n\t"
        "pop %%r15\n\t pop %%r14\n\t pop %%r13\n\t pop %%r12\n\t pop %%rbx\n\t pop %%rbp\n\t"
        ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc",
            "xmm0", "xmm1", "xmm2", "xmm3", "xmm7", "xmm8", "xmm14", "xmm15");
}

int main(void)
{
    _Static_assert(offsetof(struct state, xmm) == 136 && offsetof(struct state, rcx_expected) == 392
                   && offsetof(struct state, red) == 400, "the assembly knows these offsets");
    static const struct { const char *name; long nr; } calls[] = {
        {"getpid", SYS_getpid}, {"getppid", SYS_getppid}, {"sched_yield", SYS_sched_yield},
        {"an unknown call", 100000}, {"getuid", SYS_getuid}};
    int good = 1;
    for (int round = 0; round < 1000; round++)
        for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
            for (int i = 0; i < 16; i++)
                in.r[i] = 0x0101010101010101UL * (unsigned)(i + round % 100);
            for (int i = 0; i < 32; i++)
                in.xmm[i] = 0x9e3779b97f4a7c15UL * (unsigned)(i + 1 + round);
            memset(&out, 0, sizeof out);
            call(calls[c].nr, 1);
            int same = 1;
            for (int i = 1; i < 16; i++)
                if (i != 2 && i != 7 && i != 11)
                    same &= in.r[i] == out.r[i];
            same &= !memcmp(in.xmm, out.xmm, 16 * 8);
            uint64_t red[3];
            memcpy(red, out.red, sizeof red);
            same &= red[0] == 0x1122334455667788 && red[1] == red[0] && red[2] == red[0];
            same &= out.r[2] == out.rcx_expected;
            same &= out.flags == out.r[11] && (out.flags & 0x401) == 0x401;
            if (!same && good) {
                say("%s, round %d: registers differ", calls[c].name, round);
                for (int i = 0; i < 16; i++)
                    if (in.r[i] != out.r[i] && i != 0 && i != 2 && i != 7 && i != 11)
                        say("  r[%d]", i);
                say("  xmm %d red %d rcx %d flags %d (%#lx against %#lx)", !memcmp(in.xmm, out.xmm, 128),
                    red[0] == 0x1122334455667788 && red[2] == red[0], out.r[2] == out.rcx_expected,
                    out.flags == out.r[11], (long)out.flags, (long)out.r[11]);
                good = 0;
            }
        }
    yes("registers are kept", good);
    return 0;
}
