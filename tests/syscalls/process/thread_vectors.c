// timeout: 120
/* 64 spinning threads, each with its own values in general, x87, SSE, AVX and AVX-512 registers; nothing leaks. */
#include "observe.h"
#include <pthread.h>
#include <stdatomic.h>
#include <cpuid.h>

static atomic_int stop, errors, has_avx, has_512;
static atomic_long rounds;

struct block { uint8_t bytes[64]; } __attribute__((aligned(64)));

static int check_sse(uint64_t seed, int yield)
{
    struct block in[4], out[4];
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 8; k++)
            ((uint64_t *)in[i].bytes)[k] = seed * (uint64_t)(i * 8 + k + 1) + 0x0123456789abcdef;
    __asm__ volatile(
        "movdqa (%0), %%xmm0\n\t movdqa 64(%0), %%xmm6\n\t movdqa 128(%0), %%xmm9\n\t movdqa 192(%0), %%xmm15\n\t"
        "fldl 8(%0)\n\t mov $30000, %%ecx\n\t 1: dec %%ecx\n\t jnz 1b\n\t"
        "test %2, %2\n\t jz 2f\n\t mov $24, %%eax\n\t syscall\n\t 2:\n\t"
        "movdqa %%xmm0, (%1)\n\t movdqa %%xmm6, 64(%1)\n\t movdqa %%xmm9, 128(%1)\n\t movdqa %%xmm15, 192(%1)\n\t fstpl 16(%1)\n\t"
        :: "r"(in), "r"(out), "r"(yield) : "rax", "rcx", "r11", "xmm0", "xmm6", "xmm9", "xmm15", "memory", "cc");
    int good = 1;
    for (int i = 0; i < 4; i++)
        good &= !memcmp(in[i].bytes, out[i].bytes, 16);
    double a, b;
    memcpy(&a, in[0].bytes + 8, 8);
    memcpy(&b, out[0].bytes + 16, 8);
    return good && (a == b || a != a);
}

__attribute__((target("avx"))) static int check_avx(uint64_t seed, int yield)
{
    struct block in[4], out[4];
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 8; k++)
            ((uint64_t *)in[i].bytes)[k] = seed * (uint64_t)(i * 8 + k + 1) + 0xfedcba98;
    __asm__ volatile(
        "vmovdqa (%0), %%ymm1\n\t vmovdqa 64(%0), %%ymm7\n\t vmovdqa 128(%0), %%ymm10\n\t vmovdqa 192(%0), %%ymm14\n\t"
        "mov $30000, %%ecx\n\t 1: dec %%ecx\n\t jnz 1b\n\t"
        "test %2, %2\n\t jz 2f\n\t mov $24, %%eax\n\t syscall\n\t 2:\n\t"
        "vmovdqa %%ymm1, (%1)\n\t vmovdqa %%ymm7, 64(%1)\n\t vmovdqa %%ymm10, 128(%1)\n\t vmovdqa %%ymm14, 192(%1)\n\t vzeroupper\n\t"
        :: "r"(in), "r"(out), "r"(yield) : "rax", "rcx", "r11", "xmm1", "xmm7", "xmm10", "xmm14", "memory", "cc");
    int good = 1;
    for (int i = 0; i < 4; i++)
        good &= !memcmp(in[i].bytes, out[i].bytes, 32);
    return good;
}

__attribute__((target("avx512f"))) static int check_512(uint64_t seed, int yield)
{
    struct block in[4], out[4];
    uint64_t mask_in = seed & 0xffff, mask_out = 0;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 8; k++)
            ((uint64_t *)in[i].bytes)[k] = seed * (uint64_t)(i * 8 + k + 1) + 0x77777777;
    __asm__ volatile(
        "vmovdqa64 (%1), %%zmm2\n\t vmovdqa64 64(%1), %%zmm15\n\t vmovdqa64 128(%1), %%zmm16\n\t vmovdqa64 192(%1), %%zmm31\n\t"
        "kmovw %k4, %%k3\n\t mov $30000, %%ecx\n\t 1: dec %%ecx\n\t jnz 1b\n\t"
        "test %3, %3\n\t jz 2f\n\t mov $24, %%eax\n\t syscall\n\t 2:\n\t"
        "vmovdqa64 %%zmm2, (%2)\n\t vmovdqa64 %%zmm15, 64(%2)\n\t vmovdqa64 %%zmm16, 128(%2)\n\t vmovdqa64 %%zmm31, 192(%2)\n\t"
        "kmovw %%k3, %%ecx\n\t mov %%rcx, %0\n\t vzeroupper\n\t"
        : "=m"(mask_out) : "r"(in), "r"(out), "r"(yield), "r"(mask_in)
        : "rax", "rcx", "r11", "xmm2", "xmm15", "xmm16", "xmm31", "k3", "memory", "cc");
    return !memcmp(in, out, sizeof in) && mask_in == mask_out;
}

static void *spin(void *n)
{
    uint64_t seed = (uint64_t)(long)n * 0x9e3779b97f4a7c15 | 1;
    while (!stop) {
        int yield = (int)(seed >> 60) & 1;
        unsigned csr_in = 0x1f80 | ((unsigned)(long)n % 4 << 13), csr_out = 0; /* a rounding mode of its own */
        __asm__ volatile("ldmxcsr %0" ::"m"(csr_in));
        if (!check_sse(seed, yield))
            errors++;
        if (has_avx && !check_avx(seed, yield))
            errors++;
        if (has_512 && !check_512(seed, yield))
            errors++;
        __asm__ volatile("stmxcsr %0" : "=m"(csr_out));
        if ((csr_in ^ csr_out) & ~0x3fU)
            errors++;
        seed = seed * 6364136223846793005 + 1;
        rounds++;
    }
    return NULL;
}

int main(void)
{
    has_avx = __builtin_cpu_supports("avx");
    has_512 = __builtin_cpu_supports("avx512f");
    pthread_t t[64];
    for (long i = 0; i < 64; i++)
        pthread_create(&t[i], NULL, spin, (void *)(i + 1));
    sleep_ms(3000);
    stop = 1;
    for (int i = 0; i < 64; i++)
        pthread_join(t[i], NULL);
    say("errors %d", errors);
    yes("rounds", rounds > 1000);
    return 0;
}
