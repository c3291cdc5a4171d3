# Sourced: a Debian root file system by mmdebstrap.

# root_file_system PACKAGES   OUT/rootfs.tar and OUT/packages.txt
# No program in it is setuid: nobody has a use for another user inside a stack.
root_file_system() {
    # shellcheck disable=SC2016  # mmdebstrap's own shell expands the hook
    mmdebstrap --quiet --variant=essential --format=tar --include="$1" \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +' \
        "$BASE_SOURCE" "$OUT/rootfs.tar"
    tar -xOf "$OUT/rootfs.tar" ./var/lib/dpkg/status |
        sed -n -e 's/^Package: //p' -e 's/^Version: //p' | paste -d= - - | sort >"$OUT/packages.txt"
}
