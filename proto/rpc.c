/* rpc.c */
typedef int vta_rpc_is_not_written;
