/* handles.c */
typedef int vta_handles_is_not_written;
