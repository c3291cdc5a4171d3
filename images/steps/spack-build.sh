#!/bin/sh
# Spack compiles its lock in the base with compilers, offline: OUT/opt, and how each package came
# there in OUT/installed.txt
# STACKWRIGHT_BUILD_CACHE is a folder of what was compiled before, by each toolchain; a package goes
# there as soon as it is done, so that nothing is compiled twice, whatever ends this.
# STACKWRIGHT_PACKAGE_LOGS gets a log for each package.
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"

root_image "$IN_TOOLCHAIN" "$TOOLCHAIN_DIGEST"
cache=${STACKWRIGHT_BUILD_CACHE:-$OUT.cache}/$TOOLCHAIN_DIGEST logs=${STACKWRIGHT_PACKAGE_LOGS:-$OUT.logs}
index=${STACKWRIGHT_SPACK_INDEX:-$OUT.index}/$SPACK_TREE-$SPACK_PACKAGES_TREE
mkdir -p "$cache" "$logs" "$index"
cp -R "$RECIPE/spack" "$OUT/environment"
offline_run "$root_tag" -v "$RECIPE/spack-build.sh:/spack-build.sh:ro" \
    -v "$IN_SPACK/spack:/spack:ro" -v "$IN_PACKAGES/packages:/packages:ro" \
    -v "$IN_SOURCES/mirror:/sources:ro" -v "$cache:/cache" -v "$logs:/logs" -v "$index:/index" -v "$OUT:/out" -- \
    env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" sh /spack-build.sh all "python$PYTHON" || {
    [ -f "$OUT/failed.txt" ] || exit 1
    read -r failed <"$OUT/failed.txt"
    echo "error: Spack could not install $failed; the others are kept. The end of $logs/$failed.log:"
    tail -n 10 "$logs/$failed.log"
    exit 1
}
rm -rf "$OUT/environment" "$OUT/stage" "$OUT/sources"
