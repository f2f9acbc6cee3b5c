/* kernel.c */
typedef int vta_kernel_is_not_written;
