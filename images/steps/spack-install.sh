#!/bin/sh
# Spack installs its lock inside the base image, offline: OUT/opt, and OUT/views by layer
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/engine.sh"
. "$RECIPE/root-image.sh"
. "$RECIPE/layers.sh"

root_image "$IN_BASE" "$BASE_DIGEST"

# A source mirror is looked up by hash; what isn't unpacked, by some versions without its extension.
for layer in tools ${LAYERS#python }; do
    for wheel in "$(output_of "$layer")"/*.whl; do
        [ -e "$wheel" ] || continue
        digest=$(sha256sum "$wheel")
        digest=${digest%% *}
        place=$OUT/mirror/_source-cache/archive/$(printf %.2s "$digest")
        mkdir -p "$place"
        ln "$wheel" "$place/$digest.whl" 2>/dev/null || cp "$wheel" "$place/$digest.whl"
        ln "$place/$digest.whl" "$place/$digest"
    done
done
cp -R "$RECIPE/spack" "$OUT/environment"
offline_run "$root_tag" -v "$RECIPE/spack-install.sh:/spack-install.sh:ro" -v "$RECIPE/spack_hashes.py:/spack_hashes.py:ro" \
    -v "$IN_SPACK/spack:/spack:ro" -v "$OUT/mirror:/sources:ro" -v "$OUT:/out" -- \
    sh /spack-install.sh "python$PYTHON"
rm -rf "$OUT/mirror" "$OUT/stage" "$OUT/environment"
