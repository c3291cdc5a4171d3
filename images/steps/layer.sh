#!/bin/sh
# One layer of the prefix, built inside the base image, offline: OUT/tree
# usage: layer.sh python|wheels     needs IN_BASE, IN_TOOLS and, for wheels, IN_WHEELS
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/steps/base-image.sh"

volumes="$RECIPE/layer.py:/layer.py:ro $IN_TOOLS:/tools:ro $OUT:/out"
[ "$1" = python ] || volumes="$volumes $IN_WHEELS:/wheels:ro"
offline_run "$base_tag" "$volumes" "python$PYTHON" /layer.py "$1" --tools /tools --wheels /wheels --out /out/tree
