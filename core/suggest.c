/* suggest.c */
typedef int vta_suggest_is_not_written;
