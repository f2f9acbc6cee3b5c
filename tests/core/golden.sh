#!/bin/sh
# Replays every recorded case under $VTA_SHARED (default: ../shared beside the checkout).
# usage: golden.sh VTA-REPLAY CHECKOUT
shared=${VTA_SHARED:-$2/../shared}
if [ ! -d "$shared/golden" ]; then
    echo "SKIPPED: no recorded cases at $shared (set VTA_SHARED)" >&2
    exit 77
fi
exec "$1" "$shared"/golden/* "$shared"/board/*
