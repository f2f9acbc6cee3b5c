#!/bin/sh
# Runs test_compiled where there are modules that TVM compiled, under $VTA_SHARED (default:
# ../shared beside the checkout).
# usage: compiled.sh TEST CHECKOUT
VTA_SHARED=${VTA_SHARED:-$2/../shared}
export VTA_SHARED
if [ ! -d "$VTA_SHARED/tvm" ]; then
    echo "SKIPPED: no compiled modules at $VTA_SHARED (set VTA_SHARED)" >&2
    exit 77
fi
exec "$1"
