# Sourced by every step: the settings, and nothing of the caller's that could change the output.
umask 022
LC_ALL=C.UTF-8 TZ=UTC
export LC_ALL TZ
unset CDPATH
. "$RECIPE/settings.sh"
