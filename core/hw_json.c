/* hw_json.c */
typedef int vta_hw_json_is_not_written;
