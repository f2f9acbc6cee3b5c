#!/bin/sh
# headers.sh INCLUDE LIBRARY CC CXX: what a user of the library meets. Every public header compiles
# alone as C11 and, where there is a C++ compiler, as C++; the library exports what they declare,
# and nothing else.
set -eu
include=$1 library=$2 cc=$3 cxx=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for header in "$include"/vta/*.h; do
    name=vta/$(basename "$header")
    echo "#include <$name>" >"$scratch/one.c"
    $cc -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" "$scratch/one.c"
    if [ -n "$cxx" ]; then
        $cxx -x c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -I"$include" "$scratch/one.c"
    fi
done
[ -n "$cxx" ] || echo "no C++ compiler: the headers are NOT tried as C++"

sed -n 's/^VTA_API.*[ *]\(vta_[a-z0-9_]*\)(.*/\1/p' "$include"/vta/*.h | sort -u >"$scratch/declared"
# A coverage build exports libgcov's names, too.
nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' |
    grep -v '^__gcov_\|^mangle_path$' | sort -u >"$scratch/exported"
[ "$(wc -l <"$scratch/declared")" -gt 50 ]
diff "$scratch/declared" "$scratch/exported" || {
    echo "declared (<) and exported (>) names differ"
    exit 1
}
