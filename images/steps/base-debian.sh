#!/bin/sh
# The base root file system, made by mmdebstrap: OUT/rootfs.tar and OUT/packages.txt
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/rootfs.sh"

root_file_system "$BASE_PACKAGES"
