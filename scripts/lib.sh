# lib.sh: what scripts/demo and scripts/test share: saying what happens, packages, build folders.
# Sourced by bash, not run. Whoever sources it has set ROOT (the checkout) and LOGS (a folder).
# shellcheck shell=bash

# Nothing of the caller's environment reaches a build or a test, and the system's own python3,
# meson and compilers come before whatever else is on the PATH.
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CC CXX DESTDIR PKG_CONFIG_PATH PYTHONPATH PYTHONHOME MAKEFLAGS
unset VTA_RPC_HOST VTA_RPC_PORT NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
export LC_ALL=C.UTF-8 PATH="/usr/sbin:/usr/bin:/sbin:/bin:${PATH:-}"

# A closed stdin is an empty one.
{ true <&0; } 2>/dev/null || exec </dev/null

STEP="starting" # what is being done, for the message when it fails
FAILED=""       # set once a failure has been reported

step() {
    STEP="$*"
    printf '==> %s\n' "$STEP"
}

note() {
    printf '    %s\n' "$*"
}

# fail REASON…: says why and ends the script.
fail() {
    printf '\nFAILED: %s\n%s\n' "$STEP" "$*" >&2
    FAILED=1
    exit 1
}

# For `trap … ERR`: a command that nobody expected to fail.
unexpected() {
    local code=$1 line=$2 command=$3
    [ -z "$FAILED" ] || exit 1
    fail "line $line: \`$command\` ended with status $code"
}

# logged NAME COMMAND…: runs with the output in $LOGS/NAME.log; shows its end if it fails.
logged() {
    local log="$LOGS/$1.log" code=0
    shift
    "$@" >"$log" 2>&1 </dev/null || code=$?
    [ "$code" -eq 0 ] && return 0
    printf '\n' >&2
    tail -n 30 "$log" | sed 's/^/    | /' >&2
    fail "\`$*\` ended with status $code; the whole log is $log"
}

# Runs as root: directly, or through sudo, which asks for a password only on a terminal.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# need_packages NAME…: installs what is missing, and calls apt-get only if something is.
need_packages() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        note "not a Debian system: taking it that the equivalents of these are installed: $*"
        return 0
    fi
    for package in "$@"; do
        # shellcheck disable=SC2016 # dpkg-query's own variable
        if [ "$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1)" \
            != installed ]; then
            missing+=("$package")
        fi
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        note "all $# packages are there"
        return 0
    fi
    note "missing: ${missing[*]}"
    command -v apt-get >/dev/null ||
        fail "no apt-get here; please install: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "installing packages needs root, and there is no sudo. As root, run:
    apt-get install ${missing[*]}"
        # Asks once, where the question can be seen.
        as_root true ||
            fail "installing packages needs root, and sudo refused. As root, run:
    apt-get install ${missing[*]}"
    fi
    logged apt-update as_root apt-get -o DPkg::Lock::Timeout=300 update
    logged apt-install as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends install "${missing[@]}"
    note "installed ${#missing[@]} packages"
}

# build_folder DIR COMPILER [MESON OPTION…]: DIR is a configured build folder afterwards. One that
# another user, another compiler, or other options made is replaced, never patched.
build_folder() {
    local dir=$1 compiler=$2 key
    shift 2
    key="$ROOT
$(id -u)
$(command -v "$compiler") $("$compiler" --version | head -n 1)
$(/usr/bin/meson --version)
$*"
    if [ -e "$dir" ]; then
        if [ -O "$dir" ] && [ "$(cat "$dir/.made-by" 2>/dev/null)" = "$key" ] &&
            [ -f "$dir/build.ninja" ]; then
            # What changed in the build files, before anyone asks for a target that is new there.
            logged "setup-$(basename "$dir")" ninja -C "$dir" build.ninja
            return 0
        fi
        note "replacing ${dir#"$ROOT"/}: made by another user, compiler, or set of options"
        rm -rf "$dir" 2>/dev/null || true
        [ ! -e "$dir" ] ||
            fail "$dir belongs to $(stat -c %U "$dir") and cannot be replaced: remove it, or name
another place for the builds with VTA_BUILD_ROOT"
    fi
    logged "setup-$(basename "$dir")" env CC="$compiler" \
        /usr/bin/meson setup "$dir" "$ROOT" "$@"
    printf '%s' "$key" >"$dir/.made-by"
}

# prepare_folders: where builds and logs go. Sets BUILDS and LOGS.
prepare_folders() {
    BUILDS=${VTA_BUILD_ROOT:-$ROOT}
    mkdir -p "$BUILDS" 2>/dev/null || true
    [ -w "$BUILDS" ] ||
        fail "cannot write to $BUILDS: name another place for the builds with VTA_BUILD_ROOT"
    BUILDS=$(cd "$BUILDS" && pwd)
    LOGS="$BUILDS/build-logs/$1"
    if [ -e "$LOGS" ] && [ ! -w "$LOGS" ]; then
        rm -rf "$LOGS" 2>/dev/null ||
            fail "$LOGS belongs to $(stat -c %U "$LOGS"): remove it, or set VTA_BUILD_ROOT"
    fi
    mkdir -p "$LOGS" 2>/dev/null || fail "cannot make $LOGS: set VTA_BUILD_ROOT to another place"
}

# BUILD_PACKAGES: what building vtad takes. scripts/test adds its own.
# shellcheck disable=SC2034 # used by who sources this
BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config libuv1-dev libmsgpack-dev libcjson-dev
    libssl-dev libsystemd-dev libarchive-dev libseccomp-dev libffi-dev libunicorn-dev)
