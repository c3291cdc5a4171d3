# py-mpi4py 4.1.2: rendered from the lock of the wheels.
from spack.package import *


class PyMpi4py(Package):
    """The wheel mpi4py-4.1.2-cp311-cp311-manylinux_2_5_x86_64.whl."""

    homepage = "https://pypi.org/project/mpi4py"

    version(
        "4.1.2",
        sha256="5555555555555555555555555555555555555555555555555555555555555555",
        expand=False,
        url="file:///sources/mpi4py-4.1.2-cp311-cp311-manylinux_2_5_x86_64.whl",
    )

    depends_on("python@3.11", type=("build", "run"))
    depends_on("py-installer", type="build")
    depends_on("py-mpich@=5.0.2", type="run")

    def install(self, spec, prefix):
        share = spec["py-installer"].prefix.share.installer
        python = Executable(spec["python"].prefix.bin.join("python3.11"))
        wheels = self.stage.source_path
        python(share.join("layer.py"), "wheels", "--tools", share, "--wheels", wheels, "--out", prefix)
