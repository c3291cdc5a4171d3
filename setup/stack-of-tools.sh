#!/bin/sh
# Make an environment of requirements-tools.txt what a stack of tools is, to inject faults into:
# FFTW with OpenMP, and bzip2, ninja, numactl and ncurses, all below one prefix.
# usage: stack-of-tools.sh ENVIRONMENT
set -eu
prefix=$1
for packages in "$prefix"/lib/python3*/site-packages; do :; done

# finufft's wheel holds FFTW as archives, made for AVX2, which Debian's is not.
link() {
    name=$1
    shift
    cc -shared -o "$prefix/lib/$name.so.3" -Wl,-soname="$name.so.3" -Wl,--whole-archive \
        "$packages/lib64/$name.a" -Wl,--no-whole-archive "$@" -lm
}
link libfftw3
# shellcheck disable=SC2016  # the loader replaces $ORIGIN
link libfftw3_omp "$prefix/lib/libfftw3.so.3" -Wl,-rpath,'$ORIGIN' -fopenmp
mkdir -p "$prefix/lib/pkgconfig"
cp "$packages/lib64/pkgconfig/fftw3.pc" "$prefix/lib/pkgconfig"

cp "$(command -v bzip2)" "$(command -v numactl)" "$prefix/bin"

# ncurses looks for descriptions where it was told as it was made: here it is told as it starts.
mkdir -p "$prefix/libexec" "$prefix/share/terminfo"
infocmp vt100 | tic -o "$prefix/share/terminfo" -
for name in infocmp tput; do
    cp "$(command -v "$name")" "$prefix/libexec"
    cat >"$prefix/bin/$name" <<'END'
#!/bin/sh
prefix=${0%/bin/*}
TERMINFO=$prefix/share/terminfo exec "$prefix/libexec/${0##*/}" "$@"
END
    chmod 755 "$prefix/bin/$name"
done
