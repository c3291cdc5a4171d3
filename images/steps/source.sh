#!/bin/sh
# A wheel built from sources, offline, in the base with a toolchain: OUT/*.whl
# usage: source.sh NAME     for sources/NAME; needs IN_TOOLCHAIN, IN_TOOLS, IN_BUILD, IN_SDIST and,
# in IN_<LAYER>, the layers on which it stands
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"
. "$RECIPE/layers.sh"

root_image "$IN_TOOLCHAIN" "$TOOLCHAIN_DIGEST"
mkdir "$OUT/prefix" "$OUT/dist"
# shellcheck disable=SC2086  # SOURCE_LAYERS is a list
lay_over "$OUT/prefix" $SOURCE_LAYERS
offline_run "$root_tag" \
    -v "$RECIPE/layer.py:/layer.py:ro" -v "$RECIPE/source.py:/source.py:ro" \
    -v "$RECIPE/sources/$1:/recipe:ro" -v "$IN_SDIST:/sdist:ro" \
    -v "$IN_TOOLS:/tools:ro" -v "$IN_BUILD:/build-wheels:ro" \
    -v "$OUT/prefix:$IMAGE_PREFIX:ro" -v "$OUT/dist:/dist" -- \
    env SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" LC_ALL=C.UTF-8 TZ=UTC \
    "python$PYTHON" /source.py --recipe /recipe --sdist /sdist --tools /tools \
    --build-wheels /build-wheels --prefix "$IMAGE_PREFIX" --march="$MARCH" --out /dist
mv "$OUT/dist/"*.whl "$OUT/"
rm -r "$OUT/dist" "$OUT/prefix"
