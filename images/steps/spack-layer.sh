#!/bin/sh
# One layer of the prefix: a view that Spack made, without what Spack keeps for itself: OUT/tree
# usage: spack-layer.sh LAYER
set -eu
. "$RECIPE/common.sh"

mkdir "$OUT/tree"
view=$IN_INSTALLED/views/$1
[ ! -d "$view" ] || cp -RLl "$view/." "$OUT/tree/"
rm -rf "$OUT/tree/.spack"
there=$(find "$OUT/tree" -mindepth 4 -maxdepth 4 -type d -name '*.dist-info' | wc -l) # lib/python3.x/dist-packages/
locked=$(wc -l <"$RECIPE/requirements/$1.txt")
[ "$there" -eq "$locked" ] || {
    echo "error: $there wheels are in Spack's view '$1', and $locked in the lock" >&2
    exit 1
}
