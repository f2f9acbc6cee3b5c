/* isa.c */
typedef int vta_isa_is_not_written;
