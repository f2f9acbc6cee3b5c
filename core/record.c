/* record.c */
typedef int vta_record_is_not_written;
