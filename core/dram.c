/* dram.c */
typedef int vta_dram_is_not_written;
