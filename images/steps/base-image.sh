# Sourced: put the base root file system into the engine's storage as $base_tag, once
base_tag="localhost/stackwright/base:$BASE_DIGEST"
if ! has_image "$base_tag"; then
    build_image "$base_tag" "$RECIPE/base.Containerfile" "$IN_BASE"
fi
