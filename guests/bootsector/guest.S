# A guest in eight sectors. It starts from any BIOS disk (virtio-blk or IDE, through int 13h), prints
# its name on COM1 and on the screen, changes its disk as a student would, and sleeps:
#
#   PIZARRA GUEST net-07 boot 00000001      the SMBIOS system serial number, or "-"; starts counted
#   PIZARRA GUEST wrote 00000001            a batch of changes was written; batches counted
#   PIZARRA GUEST ready
#
# A key makes the guest write one more batch. The power button (ACPI) makes it print "off" and power
# off. On a disk marked deaf the guest ignores the button, as a hung guest does. A sleeping guest costs
# no processor, because its timer is stopped.
#
# On the disk, in sectors of 512 bytes (the build script writes what is there at first):
#   0      this code
#   8      state: "PIZARRA STATE  \n", u32 boots, u32 batches, u32 deaf
#   16     identification: one line of text
#   2048   lesson files, 4 MiB; batch b overwrites 64 KiB of them at 2048 + (b mod 64) * 128
#   32768  scratch, 32 MiB; batch b writes 256 KiB of it at 32768 + (b mod 128) * 512
# A written sector starts with "PIZARRA WROTE boot 00000001"; the rest differs every time.

        .set    STATE_LBA, 8
        .set    LESSONS_LBA, 2048
        .set    SCRATCH_LBA, 32768
        .set    STATE, 0x1000                   # where the state sector is kept in memory
        .set    BOOTS, STATE + 16
        .set    BATCHES, STATE + 20
        .set    BUFFER_SEGMENT, 0x2000
        .set    BUFFER_SECTORS, 64              # 32 KiB a call
        .set    COM1, 0x3f8
        .set    PM1_STATUS, 0x600               # SeaBIOS puts it there on pc and on q35
        .set    PM1_ENABLE, 0x602
        .set    PM1_CONTROL, 0x604
        .set    POWER_BUTTON, 0x100
        .set    SOFT_OFF, 0x2000                # SLP_EN; QEMU's S5 has SLP_TYP 0
        .set    NAME_MAX, 63

        .code16
        .globl  _start
_start: cli
        cld
        ljmp    $0, $1f
1:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        movb    %dl, drive
        call    serial_open
        sti
        movb    $0x42, %ah
        movw    $load_packet, %si
        call    disk
        jmp     stage2

# ah = 0x42 reads, 0x43 writes what the packet at si says
disk:   movb    drive, %dl
        movb    $0, %al
        int     $0x13
        jc      1f
        ret
1:      movw    $disk_failed, %si
        call    say
2:      hlt
        jmp     2b

serial_open:                                    # 115200 8N1, no interrupts, FIFO on
        movw    $serial_setup, %si
        movw    $(serial_setup_end - serial_setup) / 2, %cx
        xorw    %dx, %dx
1:      lodsw
        movb    %al, %dl
        addw    $COM1, %dx
        movb    %ah, %al
        outb    %al, %dx
        xorw    %dx, %dx
        loop    1b
        ret

# prints the text at si, to its NUL
say:    lodsb
        testb   %al, %al
        jz      1f
        call    put
        jmp     say
1:      ret

put:    pushal
        movb    %al, %bl
        movw    $0xffff, %cx
        movw    $COM1 + 5, %dx
1:      inb     %dx, %al
        testb   $0x20, %al                      # room for a byte
        loopz   1b
        movw    $COM1, %dx
        movb    %bl, %al
        outb    %al, %dx
        cmpw    $0xc000, 0x10 * 4 + 2           # a VGA BIOS, not SeaBIOS's own serial console
        jne     2f
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
2:      popal
        ret

# writes eax as eight decimal digits at di
decimal:
        addw    $8, %di
        movl    $10, %ebx
        movw    $8, %cx
1:      xorl    %edx, %edx
        divl    %ebx
        addb    $'0', %dl
        decw    %di
        movb    %dl, (%di)
        loop    1b
        ret

drive:  .byte   0
serial_setup:                                   # register, value
        .byte   1, 0, 3, 0x80, 0, 1, 1, 0, 3, 3, 2, 0xc7, 4, 3
serial_setup_end:
disk_failed:
        .asciz  "PIZARRA GUEST disk error\r\n"
        .balign 4
load_packet:
        .word   16, 7, 0x7e00, 0
        .quad   1

        .org    510
        .word   0xaa55

stage2: call    find_name
        movb    $0x42, %ah
        movw    $state_packet, %si
        call    disk
        incl    BOOTS
        movl    BOOTS, %eax
        movw    $boot_digits, %di
        call    decimal
        movl    BOOTS, %eax
        movw    $header_digits, %di
        call    decimal
        call    save_state                      # counted before it is said
        movw    $hello, %si
        call    say
        movw    $name, %si
        call    say
        movw    $boot, %si
        call    say
        call    write_batch
        call    quiet
        movw    $ready, %si
        call    say

sleep:  cli
        testb   $1, off
        jnz     power_off
        sti
        hlt
        movb    $0x11, %ah                      # a key?
        int     $0x16
        jz      sleep
        movb    $0x10, %ah
        int     $0x16
        call    write_batch
        jmp     sleep

power_off:
        sti
        movw    $off_text, %si
        call    say
        movw    $PM1_CONTROL, %dx
        movw    $SOFT_OFF, %ax
        outw    %ax, %dx
1:      hlt
        jmp     1b

# Lets nothing wake the CPU but a key and the power button.
quiet:  cli
        movb    $0x30, %al                      # timer 0: fire once, never again
        outb    %al, $0x43
        xorb    %al, %al
        outb    %al, $0x40
        outb    %al, $0x40
        testb   $1, STATE + 24                  # deaf
        jnz     1f
        movw    $power_button, 0x71 * 4         # IRQ 9
        movw    %cs, 0x71 * 4 + 2
        movw    $PM1_ENABLE, %dx
        movw    $POWER_BUTTON, %ax
        outw    %ax, %dx
        inb     $0xa1, %al
        andb    $~2, %al
        outb    %al, $0xa1
        inb     $0x21, %al
        andb    $~4, %al
        outb    %al, $0x21
1:      sti
        ret

power_button:
        pushw   %ax
        pushw   %dx
        movw    $PM1_STATUS, %dx
        inw     %dx, %ax
        outw    %ax, %dx                        # what is written as one is cleared
        andb    $POWER_BUTTON >> 8, %ah
        orb     %ah, %cs:off
        movb    $0x20, %al
        outb    %al, $0xa0
        outb    %al, $0x20
        popw    %dx
        popw    %ax
        iretw

# 256 KiB into scratch, 64 KiB over the lessons, and the count of batches, in this order: a batch
# that was counted was written.
write_batch:
        incl    BATCHES
        movl    BATCHES, %eax
        andl    $127, %eax
        shll    $9, %eax
        addl    $SCRATCH_LBA, %eax
        movw    $8, %cx
        call    write_run
        movl    BATCHES, %eax
        andl    $63, %eax
        shll    $7, %eax
        addl    $LESSONS_LBA, %eax
        movw    $2, %cx
        call    write_run
        call    save_state
        movl    BATCHES, %eax
        movw    $wrote_digits, %di
        call    decimal
        movw    $wrote, %si
        jmp     say

save_state:
        movb    $0x43, %ah
        movw    $state_packet, %si
        jmp     disk

# cx buffers of fresh data from sector eax on
write_run:
        movl    %eax, data_lba
1:      pushw   %cx
        call    fill
        movb    $0x43, %ah
        movw    $data_packet, %si
        call    disk
        addl    $BUFFER_SECTORS, data_lba
        popw    %cx
        loop    1b
        ret

# each sector of the buffer: a line of text, then xorshift32 from the time stamp
fill:   pushw   %es
        movw    $BUFFER_SEGMENT, %ax
        movw    %ax, %es
        rdtsc
        orl     $1, %eax
        movl    %eax, %ebx
        xorw    %di, %di
        movw    $BUFFER_SECTORS, %dx
1:      movw    $header, %si
        movw    $32 / 4, %cx
        rep movsl
        movw    $(512 - 32) / 4, %cx
2:      movl    %ebx, %eax
        shll    $13, %eax
        xorl    %eax, %ebx
        movl    %ebx, %eax
        shrl    $17, %eax
        xorl    %eax, %ebx
        movl    %ebx, %eax
        shll    $5, %eax
        xorl    %ebx, %eax
        movl    %eax, %ebx
        stosl
        loop    2b
        decw    %dx
        jnz     1b
        popw    %es
        ret

# Copies the SMBIOS type 1 serial number to "name". The table may lie anywhere below 4 GiB, so fs
# gets a 4 GiB limit ("unreal mode"); interrupts stay off, for a BIOS service would take it away.
find_name:
        cli
        lgdt    gdtr
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        jmp     1f
1:      movw    $8, %bx
        movw    %bx, %fs
        andb    $~1, %al
        movl    %eax, %cr0
        jmp     2f
2:      xorw    %ax, %ax
        movw    %ax, %fs
        call    find_table
        jc      3f
        call    find_serial
        jc      3f
        call    copy_name
3:      sti
        ret

# esi = the table, ecx = its end; carry: there is none
find_table:
        movl    $0xf0000, %ebx
1:      cmpl    $0x5f4d535f, %fs:(%ebx)         # _SM_
        jne     2f
        cmpl    $0x494d445f, %fs:0x10(%ebx)     # _DMI
        je      4f
2:      cmpl    $0x334d535f, %fs:(%ebx)         # _SM3
        jne     3f
        cmpb    $'_', %fs:4(%ebx)
        je      5f
3:      addl    $16, %ebx
        cmpl    $0x100000, %ebx
        jb      1b
        stc
        ret
4:      movl    %fs:0x18(%ebx), %esi
        movzwl  %fs:0x16(%ebx), %ecx
        addl    %esi, %ecx
        clc
        ret
5:      movl    %fs:0x10(%ebx), %esi
        movl    %fs:0x0c(%ebx), %ecx
        addl    %esi, %ecx
        clc
        ret

# esi = the serial number's text; carry: there is none
find_serial:
        cmpl    %ecx, %esi
        jae     4f
        movb    %fs:(%esi), %al
        cmpb    $127, %al
        je      4f
        movzbl  %fs:1(%esi), %edx
        movb    %fs:7(%esi), %bl                # of type 1: which string it is, from 1
        addl    %edx, %esi
        cmpb    $1, %al
        je      2f
1:      cmpw    $0, %fs:(%esi)                  # the strings of a structure end with an empty one
        leal    1(%esi), %esi
        jne     1b
        incl    %esi
        jmp     find_serial
2:      testb   %bl, %bl
        jz      4f
3:      decb    %bl
        jz      5f
        cmpb    $0, %fs:(%esi)
        je      4f
        call    next_string
        jmp     3b
4:      stc
        ret
5:      clc
        ret

next_string:
        movb    %fs:(%esi), %al
        incl    %esi
        testb   %al, %al
        jnz     next_string
        ret

# only of printable characters, without spaces ("Not Specified" is no name); otherwise "-" stays
copy_name:
        movl    %esi, %ebx
        movw    $NAME_MAX, %cx
1:      movb    %fs:(%ebx), %al
        incl    %ebx
        testb   %al, %al
        jz      2f
        cmpb    $'!', %al
        jb      4f
        cmpb    $'~', %al
        ja      4f
        loop    1b
        ret
2:      movw    $name, %di
        cmpb    $0, %fs:(%esi)
        je      4f
3:      movb    %fs:(%esi), %al
        incl    %esi
        stosb
        testb   %al, %al
        jnz     3b
4:      ret

        .balign 8
gdt:    .quad   0
        .quad   0x00cf92000000ffff              # data, base 0, limit 4 GiB
gdtr:   .word   . - gdt - 1
        .long   gdt
        .balign 4
state_packet:
        .word   16, 1, STATE, 0
        .quad   STATE_LBA
data_packet:
        .word   16, BUFFER_SECTORS, 0, BUFFER_SEGMENT
data_lba:
        .quad   0

off:    .byte   0
hello:  .asciz  "PIZARRA GUEST "
boot:   .ascii  " boot "
boot_digits:
        .asciz  "00000000\r\n"
wrote:  .ascii  "PIZARRA GUEST wrote "
wrote_digits:
        .asciz  "00000000\r\n"
ready:  .asciz  "PIZARRA GUEST ready\r\n"
off_text:
        .asciz  "PIZARRA GUEST off\r\n"
header: .ascii  "PIZARRA WROTE boot "
header_digits:
        .ascii  "00000000    \n"
        .balign 32
name:   .asciz  "-"
        .space  NAME_MAX - 1

        .org    8 * 512
