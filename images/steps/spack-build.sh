#!/bin/sh
# Spack compiles its lock in the base with compilers, offline: OUT/opt, and how each package came
# there in OUT/installed.txt
# STACKWRIGHT_BUILD_CACHE is a folder of what was compiled before, by each toolchain; a package goes
# there as soon as it is done, so that nothing is compiled twice, whatever ends this.
# STACKWRIGHT_BUILD_REGISTRY is such a cache in an OCI registry: what it holds is taken from there
# first, and what it lacks is pushed when Spack has come to an end, good or bad.
# STACKWRIGHT_PACKAGE_LOGS gets a log for each package.
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"

root_image "$IN_TOOLCHAIN" "$TOOLCHAIN_DIGEST"
cache=${STACKWRIGHT_BUILD_CACHE:-$OUT.cache}/$TOOLCHAIN_DIGEST logs=${STACKWRIGHT_PACKAGE_LOGS:-$OUT.logs}
index=${STACKWRIGHT_SPACK_INDEX:-$OUT.index}/$SPACK_TREE-$SPACK_PACKAGES_TREE
registry=${STACKWRIGHT_BUILD_REGISTRY:+$STACKWRIGHT_BUILD_REGISTRY/$TOOLCHAIN_DIGEST}
mkdir -p "$cache" "$logs" "$index"
cp -R "$RECIPE/spack" "$OUT/environment"

# spack_build offline|online WHAT [ARGUMENT]
spack_build() {
    way=$1 what=$2
    shift 2
    "${way}_run" "$root_tag" -v "$RECIPE/spack-build.sh:/spack-build.sh:ro" \
        -v "$RECIPE/registry_holds.py:/registry_holds.py:ro" -v "$RECIPE/spack_hashes.py:/spack_hashes.py:ro" \
        -v "$IN_SPACK/spack:/spack:ro" -v "$IN_PACKAGES/packages:/packages:ro" \
        -v "$IN_SOURCES/mirror:/sources:ro" -v "$cache:/cache" -v "$logs:/logs" -v "$index:/index" -v "$OUT:/out" -- \
        env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" sh /spack-build.sh "$what" "python$PYTHON" "$@"
}

# with_registry pull|push: the login is there only meanwhile, so that nothing that compiles sees it
with_registry() {
    mkdir "$OUT/access" &&
        "${HOST_PYTHON:-python3}" "$RECIPE/registry_access.py" "$registry" "$OUT/access" &&
        spack_build online "$1" "$registry" && status=0 || status=1
    rm -rf "$OUT/access"
    return "$status"
}

if [ -n "$registry" ] && ! with_registry pull; then
    echo "error: could not take what is compiled from $registry, so that nothing was compiled anew;"
    echo "if it wants a password: podman login; to do without it: unset STACKWRIGHT_BUILD_CACHE"
    exit 1
fi
built=yes pushed=yes
spack_build offline all || built=no
if [ -n "$registry" ] && ! with_registry push; then
    pushed=no
    echo "error: could not push to $registry; what is compiled is kept in $cache:"
    echo "the same command takes it from there and pushes again; to do without: unset STACKWRIGHT_BUILD_CACHE"
fi
if [ "$built" = no ] && [ -f "$OUT/failed.txt" ]; then
    read -r failed <"$OUT/failed.txt"
    echo "error: Spack could not install $failed; the others are kept. The end of $logs/$failed.log:"
    tail -n 10 "$logs/$failed.log"
fi
[ "$built$pushed" = yesyes ] || exit 1
rm -rf "$OUT/environment" "$OUT/stage" "$OUT/sources"
