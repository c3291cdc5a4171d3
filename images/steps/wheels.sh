#!/bin/sh
# Download one group of locked wheels, each checked against its hash: OUT/*.whl
# usage: wheels.sh GROUP     for a group of requirements/
set -eu
. "$RECIPE/common.sh"

platforms=
for tag in $PLATFORM_TAGS; do platforms="$platforms --platform $tag"; done
# shellcheck disable=SC2086  # platforms is a list
"${HOST_PYTHON:-python3}" -m pip --disable-pip-version-check download --progress-bar off \
    --no-deps --require-hashes --only-binary :all: \
    --python-version "$PYTHON" --implementation cp --abi "cp$(echo "$PYTHON" | tr -d .)" --abi abi3 --abi none \
    $platforms --dest "$OUT" --requirement "$RECIPE/requirements/$1.txt"
