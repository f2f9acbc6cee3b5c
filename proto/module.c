/* module.c */
typedef int vta_module_is_not_written;
