# Sourced: put the base root file system into the engine's storage as $base_tag, once
base_tag="localhost/stackwright/base:$BASE_DIGEST"
if ! has_image "$base_tag"; then
    case $(sha256sum "$IN_BASE/rootfs.tar") in
    "$BASE_DIGEST"*) ;;
    *)
        echo "error: $IN_BASE/rootfs.tar is not the locked base; next: stackwright lock --base-only LABEL" >&2
        exit 1
        ;;
    esac
    build_image "$base_tag" "$RECIPE/base.Containerfile" "$IN_BASE"
fi
