from spack.package import *


class Glibc(Package):
    """What is there already, and never built."""

    homepage = "https://www.gnu.org/software/libc"
    has_code = False
    tags = ["runtime"]

    version("2.36")
    provides("libc")
