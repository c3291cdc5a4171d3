"""A stack with something that is built from sources: a library in C, and a patch of it."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

from build_samples import LABEL, fixed_lock

from stackwright.building.providers.steps import Recipe
from stackwright.building.recipe import render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.locks import Base, Lock, Sdist, Sources
from stackwright.plans.plan import Plan, resolve

RECIPE = """\
name: tiny
summary: A module in C that knows one number
requirement: tiny==1.0
build: [setuptools]
needs: [packaging]
toolchain: [gcc, libc6-dev, patch]
patches: recipes/patches/tiny
environment: {TINY_NUMBER: "42"}
frameworks:
  numpy: {there: {TINY_NUMPY: "1"}, absent: {TINY_NUMPY: "0"}}
  torch: {there: {TINY_TORCH: "1"}, absent: {TINY_TORCH: "0"}}
"""
PATCH = """\
The number was one too small.

--- a/tiny.c
+++ b/tiny.c
@@ -1,3 +1,3 @@
 #include <Python.h>
-#define NUMBER 41
+#define NUMBER 42
 static const char *file = __FILE__;
"""
FILES = {
    "PKG-INFO": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "setup.py": """\
from pathlib import Path

from setuptools import Extension, setup

Path("ran").touch()
setup(
    name="tiny",
    version="1.0",
    install_requires=["packaging"],
    ext_modules=[
        Extension(
            "tiny",
            ["tiny.c"],
            # Where the prefix lies, and where it is built, which is gone later.
            runtime_library_dirs=["/opt/stackwright/lib", str(Path.cwd() / "lib")],
        )
    ],
)
""",
    "tiny.c": """\
#include <Python.h>
#define NUMBER 41
static const char *file = __FILE__;
static PyObject *number(PyObject *self, PyObject *args) {
    return Py_BuildValue("is", NUMBER, file);
}
static PyMethodDef methods[] = {{"number", number, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tiny", "", -1, methods};
PyMODINIT_FUNC PyInit_tiny(void) { return PyModule_Create(&module); }
""",
}


def add_source(root: Path) -> Site:
    """Have the small stack of a site build it."""
    (root / "recipes/sources").mkdir(parents=True)
    (root / "recipes/sources/tiny.yaml").write_text(RECIPE)
    (root / "recipes/patches/tiny").mkdir(parents=True)
    (root / "recipes/patches/tiny/0001-number.patch").write_text(PATCH)
    stack = root / "stacks/mini.yaml"
    stack.write_text(
        stack.read_text().replace("    mpi: mpich\n", "    mpi: mpich\n    sources: [tiny]\n")
    )
    return Site(root)


def write_sdist(folder: Path) -> Path:
    """The sources, as an index would serve them."""
    path = folder / "tiny-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in FILES.items():
            info = tarfile.TarInfo(f"tiny-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, BytesIO(text.encode()))
    return path


def sourced_lock(plan: Plan) -> Lock:
    """An invented lock of it."""
    sdist = Sdist(name="tiny", version="1.0", file="tiny-1.0.tar.gz", digest="sha256:" + "9" * 64)
    toolchain = Base(source="bookworm", digest="sha256:" + "8" * 64, packages={"gcc": "4:12"})
    sources = Sources(sdists=(sdist,), build=(), toolchain=toolchain)
    return fixed_lock(plan).model_copy(update={"sources": sources})


def rendered(site: Site) -> Recipe:
    plan = resolve(Site(site.root), parse(LABEL))
    return render(plan, sourced_lock(plan), Site(site.root))
