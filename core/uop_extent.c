/* uop_extent.c */
typedef int vta_uop_extent_is_not_written;
