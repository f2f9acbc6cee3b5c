/* verify.c */
typedef int vta_verify_is_not_written;
