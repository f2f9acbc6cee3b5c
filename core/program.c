/* program.c */
typedef int vta_program_is_not_written;
