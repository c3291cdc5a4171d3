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
git -c safe.directory="$root" -C "$root" cat-file -e "$SPACK_TREE" 2>/dev/null || {
    echo "error: $root is not the Spack $SPACK_VERSION that made the lock; next: check that version out, or stackwright lock $LABEL" >&2
    exit 1
}
mkdir "$OUT/spack"
repos=var/spack/repos
[ "${1:-}" != whole ] || repos=
"${HOST_PYTHON:-python3}" "$RECIPE/git_tree.py" "$root" "$SPACK_TREE" "$OUT/spack" \
    --commit "$SPACK_COMMIT" --only bin etc lib share var ${repos:+--without "$repos"}
