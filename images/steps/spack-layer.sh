#!/bin/sh
# One layer of the prefix: a view that Spack made, without what Spack keeps for itself: OUT/tree
# usage: spack-layer.sh frameworks|packages
set -eu
. "$RECIPE/common.sh"

mkdir "$OUT/tree"
view=$IN_INSTALLED/views/$1
[ ! -d "$view" ] || cp -RLl "$view/." "$OUT/tree/"
rm -rf "$OUT/tree/.spack"
