#!/bin/sh
# Runs in a container of the base image, offline: install the environment in /out by its lock.
# usage: spack-install.sh PYTHON
# What is wrong with a package is in its own log, which is shown whole.
set -eu
export HOME=/tmp LC_ALL=C.UTF-8 OUT=/out SPACK_DISABLE_LOCAL_CONFIG=1
export SPACK_USER_CONFIG_PATH=/tmp/user SPACK_USER_CACHE_PATH=/tmp/cache
SPACK_PYTHON=$(command -v "$1")
export SPACK_PYTHON

# Spack 0.23 installs nothing where a declared compiler isn't there, though it compiles nothing.
compilers=/out/environment/compilers.yaml
[ ! -f "$compilers" ] || sed -n 's/^ *\(cc\|cxx\): "\(.*\)"$/\2/p' "$compilers" | while IFS= read -r program; do
    [ ! -e "$program" ] || continue
    mkdir -p "$(dirname "$program")"
    printf '#!/bin/sh\necho "there is no compiler here: a wheel needs none" >&2\nexit 1\n' >"$program"
    chmod 755 "$program"
done
mkdir /tmp/scope
echo 'bootstrap: {enable: false, root: /tmp/bootstrap}' >/tmp/scope/bootstrap.yaml
/spack/bin/spack -C /tmp/scope -e /out/environment python /spack_hashes.py
if /spack/bin/spack -C /tmp/scope -e /out/environment install --fail-fast; then
    for view in /out/views/*; do # Spack makes a link of each, to where only the container has it
        made=$(readlink -f "$view")
        rm "$view"
        mv "$made" "$view"
    done
    exit 0
fi
find /out/stage -name 'spack-build-out.txt' | while IFS= read -r log; do
    echo "== $log"
    cat "$log"
done
exit 1
