# py-numpy 2.2.6: rendered from the lock of the wheels.
from spack.package import *


class PyNumpy(Package):
    """The wheel numpy-2.2.6-cp311-cp311-manylinux_2_17_x86_64.whl."""

    homepage = "https://pypi.org/project/numpy"

    version(
        "2.2.6",
        sha256="4444444444444444444444444444444444444444444444444444444444444444",
        expand=False,
        url="file:///sources/numpy-2.2.6-cp311-cp311-manylinux_2_17_x86_64.whl",
    )

    depends_on("python@3.11", type=("build", "run"))
    depends_on("py-installer", type="build")

    def install(self, spec, prefix):
        share = spec["py-installer"].prefix.share.installer
        python = Executable(spec["python"].prefix.bin.join("python3.11"))
        wheels = self.stage.source_path
        python(share.join("layer.py"), "wheels", "--tools", share, "--wheels", wheels, "--out", prefix)
