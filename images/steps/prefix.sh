#!/bin/sh
# The install prefix: all layers laid over each other, and the manifest: OUT/own, OUT/prefix
set -eu
. "$RECIPE/common.sh"
. "$RECIPE/layers.sh"

own=$OUT/own/share/stackwright
mkdir -p "$own" "$OUT/prefix"
[ ! -d "$RECIPE/overlay" ] || cp -R "$RECIPE/overlay/." "$OUT/own/"
cp "$RECIPE/plan.json" "$RECIPE/lock.json" "$RECIPE/module.lua" "$own/"
for file in kernel.json spack/spack.lock; do
    [ ! -f "$RECIPE/$file" ] || cp "$RECIPE/$file" "$own/"
done
chmod -R u=rwX,go=rX "$OUT/own" "$OUT/prefix"
# shellcheck disable=SC2086  # LAYERS is a list
lay_over "$OUT/prefix" $LAYERS
# Python would run a layer's bytecode in place of an overlay's file of the same name.
(cd "$OUT/own" && find . ! -type d) | while IFS= read -r file; do
    [ ! -e "$OUT/prefix/$file" ] || {
        echo "prefix.sh: the overlay holds ${file#./}, as a layer does: an overlay only adds files" >&2
        exit 1
    }
done
cp -R --preserve=mode "$OUT/own/." "$OUT/prefix/"
python3 "$RECIPE/manifest.py" "$OUT/prefix" --label "$LABEL" --plan-hash "$PLAN_HASH"
cp "$OUT/prefix/share/stackwright/manifest.json" "$own/"
