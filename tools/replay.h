/* replay.h: what the parts of the tool vta-replay share. */
#ifndef VTA_TOOLS_REPLAY_H
#define VTA_TOOLS_REPLAY_H

#include <stdbool.h>

/* Prints what a board was measured to take for each case against what the timing model predicts,
 * and a summary; as JSON a list of {"name", "measured_s", "predicted_s"}. profile is the name or
 * path of a timing profile, NULL for that of each case's bitstream. Returns the exit status. */
int replay_time(char **folders, int count, const char *profile, bool json);

/* Prints what may go wrong with each case on a board (core/hazard.h); as JSON a list of {"name",
 * "ok", "reason", "hazards"}. Returns the exit status: 0 where no case has a hazard. */
int replay_hazards(char **folders, int count, bool strict_board, bool json);

#endif
