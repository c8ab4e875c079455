# The guest behind pizarra.system.kvm: one boot sector that does in miniature what every operating
# system does with a CPU, and leaves through QEMU's isa-debug-exit (exit status = value * 2 + 1):
# 64-bit long mode, SSE2, an exception, ring 3 and a system call, and a loop.
#
#   0x2a  all of it worked (QEMU exits 85)
#   0x0b  something computed wrongly (QEMU exits 23)
#
# Entering long mode alone proves nothing. There are hosts whose /dev/kvm interprets the guest one
# instruction after another: they get this far, stop with "KVM internal error" at the first SSE2
# instruction, and would need a minute for the loop that takes a CPU some milliseconds.
#
# Build (tests/unit/test_kvm.py asserts that kvm_probe.bin is what this makes):
#   as --64 -o probe.o kvm_probe.S
#   ld -m elf_x86_64 -Ttext=0x7c00 --oformat binary -o kvm_probe.bin probe.o

        .set    PML4, 0x1000
        .set    PDPT, 0x2000
        .set    PD, 0x3000
        .set    IDT, 0x4000
        .set    STACK, 0x7c00
        .set    EXIT_PORT, 0xf4
        .set    ROUNDS, 1 << 26
        .set    EFER, 0xc0000080
        .set    STAR, 0xc0000081

        .code16
        .globl  _start
_start: cli
        cld
        ljmp    $0, $clear
clear:  xorl    %eax, %eax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp

        movw    $PML4, %di                      # tables zeroed, then the first 2 MiB 1:1, for all
        movw    $(4 * 0x1000 / 4), %cx
        rep stosl
        movw    $(PDPT | 7), PML4
        movw    $(PD | 7), PDPT
        movw    $0x87, PD
        movw    $breakpoint, IDT + 3 * 16       # gate 3: selector 8, present, interrupt gate
        movw    $8, IDT + 3 * 16 + 2
        movw    $0x8e00, IDT + 3 * 16 + 4

        movl    $0x620, %eax                    # CR4.PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $PML4, %eax
        movl    %eax, %cr3
        movl    $EFER, %ecx
        rdmsr
        orw     $0x101, %ax                     # EFER.LME, EFER.SCE
        wrmsr
        lgdt    gdtr
        lidt    idtr
        movl    $0x80000003, %eax               # CR0.PG, MP, PE; EM clear: straight into long mode
        movl    %eax, %cr0
        ljmp    $8, $long

        .code64
long:   movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss

        movabsq $0x9e3779b97f4a7c15, %r8        # SSE2: a value that needs all of its 64 bits
        movq    %r8, %xmm0
        movdqa  %xmm0, %xmm1
        paddq   %xmm1, %xmm0
        movq    %xmm0, %rax
        leaq    (%r8,%r8), %rdx
        cmpq    %rax, %rdx
        jne     wrong

        xorl    %ebx, %ebx                      # an exception, and back with iretq
        int3
        cmpb    $3, %bl
        jne     wrong

        movl    $STAR, %ecx                     # ring 3, and back with a system call
        xorl    %eax, %eax
        movl    $0x00100008, %edx
        wrmsr
        incl    %ecx                            # LSTAR
        movl    $kernel, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $user, %ecx
        movl    $2, %r11d                       # flags: interrupts stay off
        sysretq

user:   movl    %cs, %ebx
        syscall

kernel: cmpb    $0x23, %bl                      # CS was the user's
        jne     wrong

        movl    $ROUNDS, %ecx                   # 64-bit arithmetic at a CPU's speed
        movl    $1, %eax
1:      addq    %r8, %rax
        decl    %ecx
        jnz     1b
        movabsq $0xe5fd29f054000001, %rdx      # %r8 * ROUNDS + 1
        cmpq    %rax, %rdx
        jne     wrong
        movb    $0x2a, %al
leave:  outb    %al, $EXIT_PORT
2:      hlt                                     # only without isa-debug-exit
        jmp     2b
wrong:  movb    $0x0b, %al
        jmp     leave

breakpoint:
        movb    $3, %bl
        iretq

        .balign 8
gdt:    .quad   0
        .quad   0x00af9a000000ffff              # 8: kernel code, 64-bit
        .quad   0x00cf92000000ffff              # 16: kernel data
        .quad   0x00cff2000000ffff              # 24: user data
        .quad   0x00affa000000ffff              # 32: user code, 64-bit
gdtr:   .word   . - gdt - 1
        .long   gdt
idtr:   .word   4 * 16 - 1
        .long   IDT

        .org    510
        .word   0xaa55
