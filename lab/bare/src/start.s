// From the PVH entry to 64-bit code: what the machine looks like on entry is said in Xen's docs/misc/pvh.pandoc
// (32-bit protected mode, flat segments, no paging, ebx = start info).

.section .note.pvh, "a", @note
.balign 4
.long 4                     // length of the name
.long 8                     // length of the address
.long 18                    // XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.quad bare_start

.section .text.start, "ax"
.code32
.global bare_start
bare_start:
    cli
    cld
    // The first GiB, mapped to itself by one table of 2 MiB pages. ebx is left alone until bare_long.
    mov dword ptr [bare_pml4], offset bare_pdpt + 3
    mov dword ptr [bare_pdpt], offset bare_pd + 3
    mov ecx, 512
    mov edi, offset bare_pd
    mov eax, 0x83           // present, writable, a large page
2:
    mov [edi], eax
    add eax, 0x200000
    add edi, 8
    dec ecx
    jnz 2b

    mov eax, offset bare_pml4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x620           // physical address extension; SSE state and exceptions
    mov cr4, eax
    mov ecx, 0xc0000080     // the EFER register
    rdmsr
    or eax, 0x900           // long mode; pages that are not executed
    wrmsr
    mov eax, cr0
    and eax, 0xfffffffb     // no emulation of the floating-point unit
    or eax, 0x80010002      // paging; read-only pages for us too; monitor the floating-point unit
    mov cr0, eax

    lgdt [bare_gdt_pointer]
    mov esp, offset bare_stack_top
    push 8
    mov eax, offset bare_long
    push eax
    retf

.code64
bare_long:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov rsp, offset bare_stack_top
    xor ebp, ebp
    mov edi, ebx
    call bare_main
    ud2

// One stub per exception, 16 bytes apart; each says which one it is.
.balign 16
.global bare_traps
bare_traps:
.set vector, 0
.rept 32
    .balign 16
    push vector
    jmp bare_trap_common
    .set vector, vector + 1
.endr

bare_trap_common:
    pop rdi
    mov rsi, rsp
    and rsp, -16
    call bare_trap
    ud2

// The timer's interrupt, on a stack of its own: the code that it interrupts may keep data below its stack pointer.
.global bare_timer
bare_timer:
    push rbp
    mov rbp, rsp
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    cld
    sub rsp, 512
    and rsp, -16
    fxsave [rsp]
    call bare_tick
    fxrstor [rsp]
    lea rsp, [rbp - 72]
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    pop rbp
    iretq

.section .rodata.gdt, "a"
.balign 8
bare_gdt:                       // until trap.rs loads its own, which starts with the same
    .quad 0
    .quad 0x00af9b000000ffff    // 8: 64-bit code
    .quad 0x00cf93000000ffff    // 16: data
bare_gdt_pointer:
    .short 23
    .quad bare_gdt

.section .bss.start, "aw", @nobits
.balign 4096
.global bare_pml4
bare_pml4:
    .skip 4096
bare_pdpt:
    .skip 4096
.global bare_pd
bare_pd:
    .skip 4096
    .skip 1048576
bare_stack_top:
    .skip 262144
.global bare_timer_stack_top
bare_timer_stack_top:
