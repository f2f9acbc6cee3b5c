#!/bin/sh
# needed.sh WORKER: a worker loads no library that only the daemon or a client needs: what is mapped
# is what a client's code could use, and time at every start.
set -eu
needed=$(LC_ALL=C readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ -n "$needed" ] || { echo "no NEEDED entries in $1"; exit 1; }
echo "$needed"
! echo "$needed" | grep -E '^lib(crypto|ssl|uv|msgpack|msgpackc|msgpack-c|systemd)\.'
