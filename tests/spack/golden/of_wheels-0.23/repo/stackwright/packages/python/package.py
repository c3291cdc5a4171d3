from spack.package import *


class Python(Package):
    """What is there already, and never built."""

    homepage = "https://www.python.org"
    has_code = False

    version("3.11")
