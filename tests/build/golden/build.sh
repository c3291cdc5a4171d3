#!/bin/sh
# Build mini/1.0-cpu@bench by hand, step by step, into ./build (or the folder given):
# the same scripts, in the same order, as `stackwright build` runs. A finished step is kept.
set -eu
RECIPE=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd)
export RECIPE
to=$(mkdir -p "${1:-$RECIPE/build}" && CDPATH="" cd -- "${1:-$RECIPE/build}" && pwd)

step() { # step NAME SCRIPT [ARGUMENT]
    [ ! -e "$to/$1.done" ] || return 0
    echo "== $1"
    rm -rf "${to:?}/$1"
    mkdir -p "$to/$1"
    OUT=$to/$1 sh "$RECIPE/steps/$2" ${3:+"$3"}
    touch "$to/$1.done"
}
step base base-debian.sh
step tools-wheels wheels.sh tools
step numpy-wheels wheels.sh numpy
step packages-wheels wheels.sh packages
export IN_BASE="$to/base"
export IN_TOOLS="$to/tools-wheels"
step python layer.sh python
export IN_BASE="$to/base"
export IN_TOOLS="$to/tools-wheels"
export IN_WHEELS="$to/numpy-wheels"
step numpy layer.sh wheels
export IN_BASE="$to/base"
export IN_TOOLS="$to/tools-wheels"
export IN_WHEELS="$to/packages-wheels"
step packages layer.sh wheels
export IN_PYTHON="$to/python"
export IN_NUMPY="$to/numpy"
export IN_PACKAGES="$to/packages"
step prefix prefix.sh
export IN_BASE="$to/base"
export IN_PYTHON="$to/python"
export IN_NUMPY="$to/numpy"
export IN_PACKAGES="$to/packages"
export IN_PREFIX="$to/prefix"
step image image.sh
export IN_IMAGE="$to/image"
export IN_PREFIX="$to/prefix"
step squashfs squashfs.sh
echo "image:    $to/image/oci"
echo "squashfs: $to/squashfs/image.squashfs"
echo "prefix:   $to/prefix/prefix"
