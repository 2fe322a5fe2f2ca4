# memcpy, memmove, memset, memcmp, bcmp with general registers only, so that the vector registers of
# a program survive them. Rust can't define them: the compiler would turn the loops into calls of
# themselves.
.text
.balign 16
.global memcpy
memcpy:
    mov rax, rdi
    mov rcx, rdx
    cmp rdx, 64
    ja 3f
1:  cmp rcx, 8
    jb 2f
    mov r8, [rsi]
    mov [rdi], r8
    add rsi, 8
    add rdi, 8
    sub rcx, 8
    jmp 1b
2:  test rcx, rcx
    jz 4f
    mov r8b, [rsi]
    mov [rdi], r8b
    inc rsi
    inc rdi
    dec rcx
    jmp 2b
3:  rep movsb
4:  ret

.balign 16
.global memmove
memmove:
    mov rcx, rdi
    sub rcx, rsi
    cmp rcx, rdx
    jae memcpy
    mov rax, rdi
    mov rcx, rdx
    lea rsi, [rsi + rdx]
    lea rdi, [rdi + rdx]
1:  cmp rcx, 8
    jb 2f
    mov r8, [rsi - 8]
    mov [rdi - 8], r8
    sub rsi, 8
    sub rdi, 8
    sub rcx, 8
    jmp 1b
2:  test rcx, rcx
    jz 3f
    mov r8b, [rsi - 1]
    mov [rdi - 1], r8b
    dec rsi
    dec rdi
    dec rcx
    jmp 2b
3:  ret

.balign 16
.global memset
memset:
    mov r9, rdi
    movzx eax, sil
    mov rcx, rdx
    rep stosb
    mov rax, r9
    ret

.balign 16
.global memcmp
.global bcmp
memcmp:
bcmp:
    xor ecx, ecx
1:  lea r8, [rcx + 8]
    cmp r8, rdx
    ja 2f
    mov r9, [rdi + rcx]
    cmp r9, [rsi + rcx]
    jne 2f
    mov rcx, r8
    jmp 1b
2:  cmp rcx, rdx
    jae 3f
    movzx eax, byte ptr [rdi + rcx]
    movzx r8d, byte ptr [rsi + rcx]
    inc rcx
    sub eax, r8d
    jz 2b
    ret
3:  xor eax, eax
    ret
