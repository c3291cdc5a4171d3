from spack.package import *


class CompilerWrapper(Package):
    """What is there already, and never built."""

    homepage = "https://spack.io"
    has_code = False

    version("1.0")
