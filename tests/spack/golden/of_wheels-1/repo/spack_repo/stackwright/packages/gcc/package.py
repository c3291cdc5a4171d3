from spack.package import *


class Gcc(Package):
    """What is there already, and never built."""

    homepage = "https://spack.io"
    has_code = False
    tags = ["compiler"]

    version("12.2.0")
    provides("c")
    provides("cxx")

    # By these Spack asks a compiler which libc it links.
    verbose_flags = "-v"
    cc = "/usr/bin/gcc"
    cxx = "/usr/bin/g++"
