#!/bin/sh
# The packages that Spack knew when it made the lock, where it keeps them apart: OUT/packages
# STACKWRIGHT_SPACK_PACKAGES names a checkout that has them.
set -eu
. "$RECIPE/common.sh"

mkdir "$OUT/packages"
[ -n "$SPACK_PACKAGES_TREE" ] || exit 0
root=${STACKWRIGHT_SPACK_PACKAGES:-}
[ -n "$root" ] || {
    echo "error: where are Spack's packages? next: export STACKWRIGHT_SPACK_PACKAGES=FOLDER" >&2
    exit 1
}
git -c safe.directory="$root" -C "$root" cat-file -e "$SPACK_PACKAGES_TREE" 2>/dev/null || {
    echo "error: $root has not the packages $SPACK_PACKAGES_VERSION of the lock; next: check that version out, or stackwright lock --upgrade $LABEL" >&2
    exit 1
}
"${HOST_PYTHON:-python3}" "$RECIPE/git_tree.py" "$root" "$SPACK_PACKAGES_TREE" "$OUT/packages" \
    --commit "$SPACK_PACKAGES_COMMIT" --only repos
