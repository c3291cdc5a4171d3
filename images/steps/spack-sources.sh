#!/bin/sh
# The sources that Spack's lock names, as a mirror that it reads: OUT/mirror
# Each is compared with the hash that its package has, or its commit: OUT/mirror/_git holds what is
# cloned. STACKWRIGHT_SOURCES names where they may lie already, with colons between: folders of any
# files and repositories, or lists of URLs. Else they are downloaded.
set -eu
. "$RECIPE/common.sh"

python=${HOST_PYTHON:-python3}
work=$OUT/work
mkdir -p "$work/scope" "$OUT/mirror"
index=${STACKWRIGHT_SPACK_INDEX:-$OUT.index}/$SPACK_TREE-$SPACK_PACKAGES_TREE
mkdir -p "$index"
"$python" "$RECIPE/spack_sources.py" --known "$work/known" "${STACKWRIGHT_SOURCES:-}"
cp -R "$RECIPE/spack" "$work/environment"
printf 'bootstrap: {enable: false, root: "%s"}\n' "$work/bootstrap" >"$work/scope/bootstrap.yaml"
printf 'mirrors:\n  known: {url: "file://%s", source: true, binary: false}\n' "$work/known" >"$work/scope/mirrors.yaml"
# Neither the caller's git nor the machine's has a say in what is checked out. The caller's
# certificates are those with which a server is asked.
for name in $(env | LC_ALL=C sed -n '/^GIT_SSL_/d; s/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done
export GIT_CONFIG_GLOBAL="$work/.gitconfig" GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 GIT_TEMPLATE_DIR=
export GIT_NO_LAZY_FETCH=1 GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=file:git:http:https:ssh

spack() {
    env OUT="$work" HOME="$work" SPACK_PACKAGES="$IN_PACKAGES/packages" SPACK_PYTHON="$(command -v "$python")" \
        SPACK_DISABLE_LOCAL_CONFIG=1 SPACK_USER_CONFIG_PATH="$work/user" SPACK_USER_CACHE_PATH="$index" \
        "$IN_SPACK/spack/bin/spack" -C "$work/scope" -e "$work/environment" "$@"
}

spack python "$RECIPE/spack_commits.py" >"$work/wanted.json"
"$python" "$RECIPE/spack_git.py" --wanted "$work/wanted.json" --kept "$OUT/mirror/_git" \
    --config "$work/.gitconfig" "${STACKWRIGHT_SOURCES:-}" >"$work/missing"
if [ -d "$OUT/mirror/_git" ] && [ ! -s "$work/missing" ]; then
    spack python "$RECIPE/spack_commits.py" "$OUT/mirror"
fi
if spack mirror create -d "$OUT/mirror" -a >"$work/said" 2>&1 && [ ! -s "$work/missing" ]; then
    cat "$work/said"
    rm -rf "$work"
    exit 0
fi
cat "$work/said"
lacking=$(
    sed -n '/_source-cache.git/d; s|^ *file:.*/\([0-9a-f]\{64\}\)[^/]*: .*|  sha256 \1|p; s|^    \(https*://[^ ]*\): .*|    \1|p' "$work/said"
    cat "$work/missing"
)
if [ -n "$lacking" ]; then
    echo "error: these sources are neither at STACKWRIGHT_SOURCES nor to be downloaded; put them into a folder that it names:"
    echo "$lacking"
fi >&2
exit 1
