#!/bin/sh
# Download locked sources, checked against their hash: OUT/*.tar.gz or OUT/*.zip
# usage: sdist.sh NAME     for sources/NAME
set -eu
. "$RECIPE/common.sh"

# pip asks sources what they are called, even to download them. Their own code, which isn't patched
# yet, is not run for that: a backend of ours answers.
mkdir -p "$OUT/backend/setuptools"
: >"$OUT/backend/setuptools/__init__.py"
cp "$RECIPE/sdist_backend.py" "$OUT/backend/setuptools/build_meta.py"
PYTHONPATH=$OUT/backend "${HOST_PYTHON:-python3}" -m pip --disable-pip-version-check download --progress-bar off \
    --no-deps --require-hashes --no-binary :all: --use-pep517 --no-build-isolation \
    --dest "$OUT" --requirement "$RECIPE/sources/$1/requirement.txt"
rm -r "$OUT/backend"
