/* scan.c */
typedef int vta_scan_is_not_written;
