# py-installer 1.1.0: rendered from the lock of the wheels.
from spack.package import *


class PyInstaller(Package):
    """The wheel installer-1.1.0-py3-none-any.whl."""

    homepage = "https://pypi.org/project/installer"

    version(
        "1.1.0",
        sha256="7777777777777777777777777777777777777777777777777777777777777777",
        expand=False,
        url="file:///sources/installer-1.1.0-py3-none-any.whl",
    )

    depends_on("python@3.11", type=("build", "run"))

    def install(self, spec, prefix):
        share = prefix.share.installer
        install_tree(self.stage.source_path, share)
        install(join_path(self.package_dir, "layer.py"), share)
