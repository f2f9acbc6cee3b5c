#!/bin/sh
# An archive with the same object under two names: twice.sh OBJECT ARCHIVE
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$1" "$scratch/one.o"
cp "$1" "$scratch/two.o"
tar -C "$scratch" -cf "$2" one.o two.o
