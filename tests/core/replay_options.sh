#!/bin/bash
# vta-replay refuses options that do not go with its mode, and says which; and what it says of no
# case. No case is needed.
#
# usage: replay_options.sh VTA-REPLAY
set -u

failures=0

# refuses WORDS OPTION…: exit status 2, and WORDS on stderr.
refuses() {
    local words=$1 said status
    shift
    said=$("$replay" "$@" none 2>&1 >/dev/null)
    status=$?
    if [ "$status" -ne 2 ] || [[ $said != *"$words"* ]]; then
        printf 'vta-replay %s: status %s, said: %s\n' "$*" "$status" "$said" >&2
        failures=$((failures + 1))
    fi
}

replay=$1
refuses "--time does not go with --hazards" --time --hazards
refuses "--hazards does not go with --time" --hazards --time
refuses "--profile does not go with a run" --profile ultra96
refuses "--profile does not go with --hazards" --hazards --profile ultra96
refuses "--strict-board does not go with --time" --time --strict-board
refuses "--kernels does not go with --time" --time --kernels portable

# Where nothing could be predicted there is no table of it.
said=$("$replay" --time none/such/case 2>/dev/null)
if [ $? -ne 1 ] || [ -n "$said" ]; then
    printf 'vta-replay --time none/such/case said: %s\n' "$said" >&2
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ]
