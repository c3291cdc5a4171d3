#!/bin/sh
# The image, one layer for each layer of the prefix: OUT/oci
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"
. "$RECIPE/layers.sh"

root_image "$IN_BASE" "$BASE_DIGEST"
context=$OUT/context
mounts=$context/mounts
mkdir -p "$mounts/stackwright/out" "$mounts/stackwright/payload" "$mounts/etc"
# Run times lay the host's own over these, and only where the image has them.
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$mounts/etc/hosts"
: >"$mounts/etc/resolv.conf"
for name in $LAYERS; do
    mkdir -p "$context/$name"
    lay_over "$context/$name" "$name"
done
cp -al "$IN_PREFIX/own" "$context/own"
build_image "$IMAGE_TAG" "$RECIPE/Containerfile" "$context"
rm -rf "$context"
save_image "$IMAGE_TAG" "$OUT/oci"
