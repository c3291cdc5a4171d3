#!/bin/sh
# The base with compilers beside, in which sources are built: OUT/rootfs.tar and OUT/packages.txt
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/rootfs.sh"

root_file_system "$TOOLCHAIN_PACKAGES"
