#!/bin/sh
# The base root file system, made by mmdebstrap: OUT/rootfs.tar and OUT/packages.txt
# No program in it is setuid: nobody has a use for another user inside a stack.
set -eu
. "$RECIPE/common.sh"

# shellcheck disable=SC2016  # mmdebstrap's own shell expands the hook
mmdebstrap --quiet --variant=essential --format=tar --include="$BASE_PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +' \
    "$BASE_SOURCE" "$OUT/rootfs.tar"
tar -xOf "$OUT/rootfs.tar" ./var/lib/dpkg/status |
    sed -n -e 's/^Package: //p' -e 's/^Version: //p' | paste -d= - - | sort >"$OUT/packages.txt"
