#!/bin/sh
# Builds the kernel sets for 64-bit ARM and checks them under qemu-user, where both are there.
# usage: neon.sh CHECKOUT SCRATCH-FOLDER
cc=aarch64-linux-gnu-gcc
if ! command -v $cc >/dev/null || ! command -v qemu-aarch64 >/dev/null; then
    echo "SKIPPED: needs gcc-aarch64-linux-gnu and qemu-user" >&2
    exit 77
fi
set -e
cd "$1"
mkdir -p "$2"
$cc -O3 -static -std=gnu11 -D_GNU_SOURCE -DVTA_HAVE_NEON -Wall -Wextra -Werror -Iinclude -I. \
    tests/core/check_kernels.c tests/generated/random.c core/kernels.c core/kernels_pairs.c \
    core/kernels_portable.c core/kernels_neon.c core/error.c core/suggest.c -o "$2/check_kernels_aarch64"
VTA_RUNS=${VTA_RUNS:-4} qemu-aarch64 "$2/check_kernels_aarch64"
