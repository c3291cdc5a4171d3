#!/bin/sh
# The base root file system out of an image that a registry serves: OUT/rootfs.tar and OUT/packages.txt
# Layers are flattened, and times set, so that the tar depends on the image's files alone.
set -eu
. "$RECIPE/common.sh"

rootless=
[ "$(id -u)" = 0 ] || rootless=--rootless
skopeo copy --quiet "docker://$BASE_SOURCE" "oci:$OUT/oci:base"
umoci unpack $rootless --image "$OUT/oci:base" "$OUT/bundle" >/dev/null
tar -C "$OUT/bundle/rootfs" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -cf "$OUT/rootfs.tar" .
status=$OUT/bundle/rootfs/var/lib/dpkg/status
if [ -f "$status" ]; then
    sed -n -e 's/^Package: //p' -e 's/^Version: //p' "$status" | paste -d= - - | sort >"$OUT/packages.txt"
else
    : >"$OUT/packages.txt"
fi
chmod -R u+rwX "$OUT/bundle"
rm -rf "$OUT/bundle" "$OUT/oci"
