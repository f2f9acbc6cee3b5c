/* hw.c */
typedef int vta_hw_is_not_written;
