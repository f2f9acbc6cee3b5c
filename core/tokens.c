/* tokens.c */
typedef int vta_tokens_is_not_written;
