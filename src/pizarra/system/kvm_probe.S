# The guest behind pizarra.system.kvm: one boot sector that enters 64-bit long mode, computes
# there, and leaves through QEMU's isa-debug-exit at port 0xf4 (status = value * 2 + 1).
#
#   0x2a  computed rightly in long mode (QEMU exits 85)
#   0x0b  long mode was entered, the sum was wrong (QEMU exits 23)
#
# Real and protected mode prove nothing: hosts exist whose KVM runs those and dies at EFER.
# Build: see BUILD in tests/unit/test_kvm.py, which asserts that kvm_probe.bin is this source.

        .set    PML4, 0x1000
        .set    PDPT, 0x2000
        .set    PD, 0x3000
        .set    EXIT_PORT, 0xf4

        .code16
        .globl  _start
_start: cli
        cld
        ljmp    $0, $clear
clear:  xorl    %eax, %eax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp

        movw    $PML4, %di                      # three tables, zeroed, then the first 2 MiB 1:1
        movl    $(3 * 0x1000 / 4), %ecx
        rep stosl
        movl    $(PDPT | 3), PML4
        movl    $(PD | 3), PDPT
        movl    $0x83, PD                       # present, writable, 2 MiB page

        movl    $0x20, %eax                     # CR4.PAE
        movl    %eax, %cr4
        movl    $PML4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx               # EFER.LME
        rdmsr
        orl     $0x100, %eax
        wrmsr
        lgdt    gdtr
        movl    %cr0, %eax
        orl     $0x80000001, %eax               # CR0.PG | CR0.PE: straight into long mode
        movl    %eax, %cr0
        ljmp    $8, $long

        .code64
long:   movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movabsq $0x9e3779b97f4a7c15, %r8        # 20 rounds on registers that only this mode has
        movl    $20, %ecx
        movl    $1, %r9d
1:      imulq   %r8, %r9
        pushq   %r9
        popq    %r10
        rolq    $13, %r10
        xorq    %r10, %r9
        decl    %ecx
        jnz     1b
        movabsq $0x25a8deafa1356e44, %r11
        movb    $0x2a, %al
        cmpq    %r11, %r9
        je      2f
        movb    $0x0b, %al
2:      outb    %al, $EXIT_PORT
3:      hlt                                     # only without isa-debug-exit
        jmp     3b

        .balign 8
gdt:    .quad   0
        .quad   0x00af9a000000ffff              # code, 64-bit
        .quad   0x00cf92000000ffff              # data
gdtr:   .word   . - gdt - 1
        .long   gdt

        .org    510
        .word   0xaa55
