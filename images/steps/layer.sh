#!/bin/sh
# One layer of the prefix, built inside the base image, offline: OUT/tree
# usage: layer.sh python|wheels     needs IN_BASE, IN_TOOLS and, for wheels, IN_WHEELS
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"

root_image "$IN_BASE" "$BASE_DIGEST"
set -- "$1" -v "$RECIPE/layer.py:/layer.py:ro" -v "$IN_TOOLS:/tools:ro" -v "$OUT:/out"
[ "$1" = python ] || set -- "$@" -v "$IN_WHEELS:/wheels:ro"
kind=$1
shift
offline_run "$root_tag" "$@" -- \
    "python$PYTHON" /layer.py "$kind" --tools /tools --wheels /wheels --out /out/tree
