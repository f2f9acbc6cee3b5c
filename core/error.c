/* error.c */
typedef int vta_error_is_not_written;
