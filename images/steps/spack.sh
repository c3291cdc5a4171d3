#!/bin/sh
# The Spack that made the lock, out of a checkout that has it: OUT/spack
# usage: spack.sh [whole]     else without the packages that older ones hold
# STACKWRIGHT_SPACK names the checkout; else it is that of the spack on PATH.
set -eu
. "$RECIPE/common.sh"

root=${STACKWRIGHT_SPACK:-}
if [ -z "$root" ]; then
    program=$(command -v spack) || {
        echo "error: there is no Spack here; put its bin into PATH, or export STACKWRIGHT_SPACK" >&2
        exit 1
    }
    root=$(dirname -- "$(dirname -- "$(realpath -- "$program")")")
fi
spack_git() {
    git -c safe.directory="$root" -C "$root" "$@"
}
spack_git cat-file -e "$SPACK_TREE" 2>/dev/null || {
    echo "error: $root is not the Spack $SPACK_VERSION that made the lock; next: check that version out, or stackwright lock $LABEL" >&2
    exit 1
}
mkdir "$OUT/spack"
set -- "${1:-wheels}" bin etc lib share var
[ "$1" = whole ] || set -- "$@" ':(exclude)var/spack/repos'
shift
spack_git archive "$SPACK_TREE" -- "$@" | tar -xC "$OUT/spack"
find "$OUT/spack" -exec touch -h -d @0 {} + # packages are older than what Spack has found out
