# Sourced: root file systems in the engine's storage.

# root_image FOLDER DIGEST   put FOLDER/rootfs.tar there as $root_tag, once
root_image() {
    root_tag="localhost/stackwright/base:$2"
    if ! has_image "$root_tag"; then
        case $(sha256sum "$1/rootfs.tar") in
        "$2"*) ;;
        *)
            echo "error: $1/rootfs.tar is not the locked one; next: stackwright lock --base-only LABEL" >&2
            exit 1
            ;;
        esac
        build_image "$root_tag" "$RECIPE/base.Containerfile" "$1"
    fi
}
