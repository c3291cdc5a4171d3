#!/bin/sh
# Install the operating-system packages that are missing; without root, name them and stop.
# usage: install-packages.sh [LIST]
set -eu
list=$(dirname -- "$0")/${1:-debian-packages.txt}
missing=
while read -r program package; do
    case $program in
    '#'* | '') continue ;;
    /*) [ -e "$program" ] || missing="$missing $package" ;;
    *) command -v "$program" >/dev/null 2>&1 || missing="$missing $package" ;;
    esac
done <"$list"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv" # Debian parts them
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: missing programs; install what these Debian packages hold:$missing" >&2
    exit 2
fi
if [ "$(id -u)" != 0 ]; then
    echo "error: missing packages: run: sudo apt-get install$missing" >&2
    exit 2
fi
echo "installing:$missing"
apt-get -qq update
# shellcheck disable=SC2086  # a list of package names
DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing >/dev/null
