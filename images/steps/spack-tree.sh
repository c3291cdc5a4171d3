#!/bin/sh
# The layer of the prefix: what users need of what Spack compiled, laid over each other: OUT/tree
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"

root_image "$IN_BASE" "$BASE_DIGEST"
offline_run "$root_tag" -v "$RECIPE/layer.py:/layer.py:ro" -v "$RECIPE/spack_tree.py:/spack_tree.py:ro" \
    -v "$RECIPE/spack/spack.lock:/spack.lock:ro" -v "$IN_TOOLS:/tools:ro" -v "$IN_BUILT/opt:/out/opt:ro" \
    -v "$OUT:/made" -- \
    "python$PYTHON" /spack_tree.py --lock /spack.lock --opt /out/opt --tools /tools \
    --prefix "$IMAGE_PREFIX" --out /made/tree
