/* board.c */
typedef int vta_board_is_not_written;
