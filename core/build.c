/* build.c */
typedef int vta_build_is_not_written;
