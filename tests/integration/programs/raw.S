/* No libc at all: system calls written by hand, of every shape that a site can have. */
        .globl  _start
        .text
_start:
        mov     $1, %eax                /* write, the usual five-byte mov */
        mov     $1, %edi
        lea     text(%rip), %rsi
        mov     $length, %edx
        syscall
        xor     %eax, %eax              /* read, number by xor, of no bytes */
        xor     %edi, %edi
        xor     %edx, %edx
        syscall
        test    %rax, %rax
        jnz     fail
        movq    $39, %rax               /* getpid, seven-byte mov, syscalls back to back */
        syscall
        mov     %rax, %r12
        mov     $39, %eax
        syscall
        cmp     %rax, %r12
        jne     fail
        push    $39                     /* the number through the stack */
        pop     %rax
        syscall
        cmp     %rax, %r12
        jne     fail
        mov     $100, %r13d
again:  mov     $39, %eax               /* a call reached by a jump and by falling through */
target: syscall
        cmp     %rax, %r12
        jne     fail
        dec     %r13d
        jz      out
        test    $1, %r13d
        jz      again
        mov     $0x1027, %eax
        sub     $0x1000, %eax           /* 39 again, by arithmetic, and straight to the instruction */
        jmp     target
out:    mov     $231, %eax              /* exit_group */
        mov     $23, %edi
        syscall
fail:   mov     $60, %eax
        mov     $1, %edi
        syscall
        hlt
        .section .rodata
text:   .ascii  "by hand\n"
        .set    length, . - text
        .section .note.GNU-stack, "", @progbits
