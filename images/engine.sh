# Sourced by the steps: one vocabulary for podman, buildah and docker.
# ENGINE names the program; CONTAINERS_CONF may point to a configuration that works around the host.

engine=${ENGINE:-podman}

# offline_run IMAGE -v SRC:DST... -- COMMAND...   run a command without network
offline_run() { run_in none "$@"; }

# online_run IMAGE -v SRC:DST... -- COMMAND...   run a command with the network of this machine
online_run() { run_in host "$@"; }

run_in() {
    network=$1 image=$2
    shift 2
    [ "$engine" != buildah ] || image=$(buildah from --pull-never "$image")
    words=$#
    while [ "$words" -gt 0 ]; do # the engines want the image where the -- is
        [ "$1" = -- ] && word=$image || word=$1
        shift
        set -- "$@" "$word"
        words=$((words - 1))
    done
    case $engine in
    buildah)
        if buildah run --network "$network" "$@"; then status=0; else status=$?; fi
        buildah rm "$image" >/dev/null
        return "$status"
        ;;
    *) "$engine" run --rm --network "$network" "$@" ;;
    esac
}

# build_image TAG CONTAINERFILE CONTEXT   without network; reproducible with podman and buildah
build_image() {
    case $engine in
    docker) docker build --network none -t "$1" -f "$2" "$3" ;;
    buildah) buildah bud --network none --timestamp "$SOURCE_DATE_EPOCH" --layers -t "$1" -f "$2" "$3" ;;
    *) "$engine" build --network none --timestamp "$SOURCE_DATE_EPOCH" -t "$1" -f "$2" "$3" ;;
    esac
}

# has_image TAG
has_image() {
    case $engine in
    buildah) buildah inspect --type image "$1" >/dev/null 2>&1 ;;
    *) "$engine" image inspect "$1" >/dev/null 2>&1 ;;
    esac
}

# save_image TAG DIR   as an OCI layout; layers stay uncompressed, so that no compressor's version
# decides the digest
save_image() {
    case $engine in
    docker)
        docker save -o "$2.tar" "$1"
        skopeo copy --quiet --dest-oci-accept-uncompressed-layers "docker-archive:$2.tar" "oci:$2:image"
        rm -f "$2.tar"
        python3 "$RECIPE/oci_layers.py" "$2"
        ;;
    *) skopeo copy --quiet --dest-oci-accept-uncompressed-layers "containers-storage:$1" "oci:$2:image" ;;
    esac
}

# load_image DIR TAG   put an OCI layout back into the engine's storage
load_image() {
    case $engine in
    docker)
        skopeo copy --quiet "oci:$1:image" "docker-archive:$1.tar:$2"
        docker load --quiet -i "$1.tar"
        rm -f "$1.tar"
        ;;
    *) skopeo copy --quiet "oci:$1:image" "containers-storage:$2" ;;
    esac
}
