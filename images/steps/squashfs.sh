#!/bin/sh
# The image as a squashfs, after its prefix was compared with what was built: OUT/image.squashfs
set -eu
. "$RECIPE/common.sh"

rootless=
[ "$(id -u)" = 0 ] || rootless=--rootless
umoci unpack $rootless --image "$IN_IMAGE/oci:image" "$OUT/bundle" >/dev/null
python3 "$RECIPE/manifest.py" "$OUT/bundle/rootfs$IMAGE_PREFIX" --check "$IN_PREFIX/prefix"
env -u SOURCE_DATE_EPOCH mksquashfs "$OUT/bundle/rootfs" "$OUT/image.squashfs" -quiet -no-progress -all-root -no-xattrs \
    -comp zstd -Xcompression-level 3 -mkfs-time "$SOURCE_DATE_EPOCH" -all-time "$SOURCE_DATE_EPOCH"
chmod -R u+w "$OUT/bundle"
rm -rf "$OUT/bundle"
