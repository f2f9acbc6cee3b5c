/* image_relocations.S: an instruction or a number for each relocation type that compilers make seldom. What
 * it is to become is what another linker makes of it at the same address. A symbol at_X is at address X.
 */
    .text
    .globl begin, near
begin:
#if defined __x86_64__
    .quad at_40101230 + 5
    .long at_40101230 + 5
    .short at_1234
    .byte at_12
    .quad at_40101230 - .
    .long at_40101230 - .
    .short at_40001234 - .
    .byte at_40000022 - .
    call near
    movl $at_40101230, %eax
    movq $at_40101230, %rax
    movabsq $at_40101230, %rax
    leaq at_40101230+8(%rip), %rax
    .reloc ., R_X86_64_SIZE32, near
    .long 0
    .reloc ., R_X86_64_SIZE64, near
    .quad 0
    .reloc ., R_X86_64_NONE, near
    .type near, @function
near:
    ret
    .size near, . - near
#elif defined __aarch64__
    .xword at_40101230 + 5
    .word at_40101230
    .short at_1234
    .xword at_40101230 - .
    .word at_40101230 - .
    .short at_40001234 - .
    movz x0, #:abs_g0:at_1234
    movk x0, #:abs_g0_nc:at_123456789abc
    movk x0, #:abs_g1:at_40101230
    movk x0, #:abs_g1_nc:at_123456789abc
    movk x0, #:abs_g2:at_123456789abc
    movk x0, #:abs_g2_nc:at_123456789abc
    movk x0, #:abs_g3:at_123456789abc
    movz x0, #:abs_g0_s:at_1234
    movn x0, #:abs_g1_s:at_40101230
    movz x0, #:abs_g2_s:at_123456789abc
    movz x0, #:prel_g0:near
    movk x0, #:prel_g0_nc:at_40101230
    movz x0, #:prel_g1:at_40101230
    movz x0, #:prel_g1:at_30000000
    movk x0, #:prel_g1_nc:at_123456789abc
    movz x0, #:prel_g2:at_123456789abc
    movk x0, #:prel_g2_nc:at_123456789abc
    movz x0, #:prel_g3:at_123456789abc
    ldr x0, at_40001230
    adr x1, at_40001233
    adrp x2, at_12340678
    adrp x2, :pg_hi21_nc:at_12340678
    add x3, x2, :lo12:at_12340678
    ldrb w3, [x2, :lo12:at_12340677]
    ldrh w3, [x2, :lo12:at_12340676]
    ldr w3, [x2, :lo12:at_12340674]
    ldr x3, [x2, :lo12:at_12340678]
    ldr q3, [x2, :lo12:at_12340670]
    tbz x0, #5, at_40001230
    cbnz x0, at_40001230
    b.ne at_40001230
    b at_40101230
    bl at_40101230
    bl at_3ff00000
near:
    ret
#else
    .syntax unified
    .arm
    .long at_40000134, at_3ffffff4, at_40000234, at_40000235
    .long at_40101230 + 5
    .long at_40101230 - .
    .long near(target1)
    .long near(prel31)
    .reloc ., R_ARM_V4BX, near
    bx lr
    .reloc ., R_ARM_NONE, near
    movw r0, #:lower16:at_40101230
    movt r0, #:upper16:at_40101230
    movw r0, #:lower16:(at_40101230 - .)
    movt r0, #:upper16:(at_40101230 - .)
    .reloc ., R_ARM_LDR_PC_G0, at_40000134
    .inst 0xe51f0008
    .reloc ., R_ARM_LDR_PC_G0, at_3ffffff4
    .inst 0xe51f0008
    .reloc ., R_ARM_ALU_PC_G0, begin
    .inst 0xe24f1008
    .reloc ., R_ARM_ALU_PC_G0, near
    .inst 0xe24f1008
    bl near
    blx thumb
    bl thumb
    blne near
    b near
    .type near, %function
near:
    bx lr
    .thumb
    .thumb_func
    .globl thumb, thumb_near
thumb:
    movw r0, #:lower16:at_40101230
    movt r0, #:upper16:at_40101230
    movw r0, #:lower16:(at_40101230 - .)
    movt r0, #:upper16:(at_40101230 - .)
    .reloc ., R_ARM_THM_PC12, at_40000234
    .inst.w 0xf85f0004
    .reloc ., R_ARM_THM_PC12, at_3ffffff4
    .inst.w 0xf85f0004
    .reloc ., R_ARM_THM_ALU_PREL_11_0, at_40000235
    .inst.w 0xf2af0104
    .reloc ., R_ARM_THM_ALU_PREL_11_0, at_3ffffff4
    .inst.w 0xf2af0104
    bl near
    blx near
    nop
    bl near
    bl thumb_near
    blx thumb_near
    b.w thumb_near
    bne.w thumb_near
    .reloc ., R_ARM_THM_JUMP11, thumb_near
    .inst.n 0xe7fe
    .reloc ., R_ARM_THM_JUMP8, thumb_near
    .inst.n 0xd0fe
    .thumb_func
thumb_near:
    bx lr
#endif
