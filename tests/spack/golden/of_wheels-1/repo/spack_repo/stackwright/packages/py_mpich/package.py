# py-mpich 5.0.2: rendered from the lock of the wheels.
from spack.package import *


class PyMpich(Package):
    """The wheel mpich-5.0.2-py3-none-manylinux_2_28_x86_64.whl."""

    homepage = "https://pypi.org/project/mpich"

    version(
        "5.0.2",
        sha256="6666666666666666666666666666666666666666666666666666666666666666",
        expand=False,
        url="file:///sources/mpich-5.0.2-py3-none-manylinux_2_28_x86_64.whl",
    )

    depends_on("python@3.11", type=("build", "run"))
    depends_on("py-installer", type="build")

    def install(self, spec, prefix):
        share = spec["py-installer"].prefix.share.installer
        python = Executable(spec["python"].prefix.bin.join("python3.11"))
        wheels = self.stage.source_path
        python(share.join("layer.py"), "wheels", "--tools", share, "--wheels", wheels, "--out", prefix)
