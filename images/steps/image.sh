#!/bin/sh
# The image, one layer for each layer of the prefix: OUT/oci
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/steps/base-image.sh"

context=$OUT/context
mkdir -p "$context/mounts/stackwright/out" "$context/mounts/stackwright/payload"
for layer in python:"$IN_PYTHON/tree" frameworks:"$IN_FRAMEWORKS/tree" packages:"$IN_PACKAGES/tree" own:"$IN_PREFIX/own"; do
    mkdir -p "$context/${layer%%:*}"
    [ ! -d "${layer#*:}" ] || cp -al "${layer#*:}/." "$context/${layer%%:*}/"
done
build_image "$IMAGE_TAG" "$RECIPE/Containerfile" "$context"
rm -rf "$context"
save_image "$IMAGE_TAG" "$OUT/oci"
