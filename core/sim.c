/* sim.c */
typedef int vta_sim_is_not_written;
