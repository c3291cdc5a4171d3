#!/bin/sh
# Runs in a container of the base with compilers: offline, but for what is done with a registry.
# usage: spack-build.sh all PYTHON            install the environment by its lock, packages side by side
#        spack-build.sh one ARGUMENTS         what make runs in place of spack: one package, with its log
#        spack-build.sh pull PYTHON REGISTRY  install what the registry holds of the lock
#        spack-build.sh push PYTHON REGISTRY  give the registry what is installed and it lacks
set -eu

spack() {
    /spack/bin/spack -C /tmp/scope "$@"
}

prepare() {
    export HOME=/tmp LC_ALL=C.UTF-8 OUT=/out SPACK_PACKAGES=/packages SPACK_DISABLE_LOCAL_CONFIG=1
    export SPACK_USER_CONFIG_PATH=/tmp/user SPACK_USER_CACHE_PATH=/index
    export FORCE_UNSAFE_CONFIGURE=1 # root of a container, which some packages don't expect
    SPACK_PYTHON=$(command -v "$1")
    export SPACK_PYTHON
    mkdir /tmp/scope
    echo 'bootstrap: {enable: false, root: /tmp/bootstrap}' >/tmp/scope/bootstrap.yaml
    cat >/tmp/scope/mirrors.yaml <<'EOF'
mirrors:
  sources: {url: "file:///sources", source: true, binary: false}
  cache: {url: "file:///cache", source: false, binary: true, signed: false, autopush: true}
EOF
}

all() {
    prepare "$1"
    spack -e /out/environment python /spack_hashes.py
    "$1" - >/tmp/names <<'EOF'
import json
for key, spec in json.load(open("/out/environment/spack.lock"))["concrete_specs"].items():
    print(key, f"{spec['name']}-{spec['version']}-{key[:7]}", "external" if "external" in spec else "")
EOF
    spack -e /out/environment env depfile --make-prefix /tmp/make -o /tmp/Makefile
    make -f /tmp/Makefile "-j$(nproc)" --output-sync=none SPACK='sh /spack-build.sh one' \
        SPACK_INSTALL_FLAGS='--verbose --no-check-signature'
    sort -o /out/installed.txt /out/installed.txt
}

one() {
    for hash in "$@"; do :; done # the last argument is /HASH
    hash=${hash#/}
    read -r name external <<EOF
$(sed -n "s/^$hash //p" /tmp/names)
EOF
    log=/logs/$name.log
    if ! spack "$@" >"$log.new" 2>&1; then
        mv "$log.new" "$log"
        echo "$name" >>/out/failed.txt
        echo "failed $name"
        exit 1
    fi
    how=compiled
    [ -z "$external" ] || how=external
    [ -z "$(find /out/opt -maxdepth 5 -path "*-$hash/.spack/binary_distribution")" ] || how=cached
    if [ "$how" = cached ] && [ -f "$log" ]; then # that of an earlier try, which compiled it
        rm "$log.new"
    else
        mv "$log.new" "$log"
    fi
    echo "$how $name" | tee -a /out/installed.txt
}

pull() {
    prepare "$1"
    spack -e /out/environment python /spack_hashes.py
    add_registry "$2"
    spack -e /out/environment python /registry_holds.py /out/environment/spack.lock >/tmp/held
    echo "the registry holds $(wc -l </tmp/held) packages of the lock"
    # shellcheck disable=SC2046  # hashes
    [ ! -s /tmp/held ] || spack -e /out/environment install --only-concrete --cache-only \
        --no-check-signature $(cat /tmp/held)
}

push() {
    prepare "$1"
    add_registry "$2"
    spack -e /out/environment find --no-groups --format '/{hash}' >/tmp/installed
    # shellcheck disable=SC2046  # hashes
    [ ! -s /tmp/installed ] ||
        spack -e /out/environment buildcache push --unsigned --only package registry $(cat /tmp/installed)
}

# add_registry URL: a mirror after the folder, with this machine's certificates and its login there
add_registry() {
    login=
    if [ -s /out/access/login ]; then
        { IFS= read -r REGISTRY_USER && IFS= read -r REGISTRY_PASSWORD; } </out/access/login
        export REGISTRY_USER REGISTRY_PASSWORD
        login=', access_pair: {id_variable: REGISTRY_USER, secret_variable: REGISTRY_PASSWORD}'
    fi
    [ ! -f /out/access/ca.pem ] || export SSL_CERT_FILE=/out/access/ca.pem
    echo "  registry: {url: \"$1\", source: false, binary: true, signed: false$login}" >>/tmp/scope/mirrors.yaml
}

"$@"
