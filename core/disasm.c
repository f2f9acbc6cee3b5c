/* disasm.c */
typedef int vta_disasm_is_not_written;
