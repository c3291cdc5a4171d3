"""A stack of tools holds no framework: the suite of tools asks nothing that one has to show.

By what it is made of, as a package may have any name: modules that Python would import, and
libraries wherever they lie.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from emit import Emitter, listed

# The folders in which Python looks for packages, in whatever part of a prefix.
PACKAGES = ("site-packages", "dist-packages")
MODULES = (
    *(
        "tensorflow*",
        "tf_nightly*",
        "torch*",
        "keras*",
        "tf_keras*",
        "jax",
        "jax_*",
        "jaxlib*",
        "flax",
    ),
    *("horovod*", "mxnet*", "paddle", "paddlepaddle*", "caffe", "caffe2", "mindspore*"),
    *("oneflow*", "tinygrad*", "deepspeed*", "onnxruntime*", "tensorrt*", "openvino*"),
    *("chainer*", "theano*", "cntk*", "mlx", "jittor*", "megengine*", "byteps*", "nnabla*"),
)
# Without their ending: .so, .so.2, .cpython-311-x86_64-linux-gnu.so, .a
LIBRARIES = (
    *("libtorch*", "libc10*", "libtensorflow*", "_pywrap_tensorflow*", "_pywrap_tfe*"),
    *("libjax*", "_jax", "xla_extension*", "libmxnet*", "libpaddle*", "libcaffe*", "_caffe*"),
    *("libmindspore*", "liboneflow*", "libonnxruntime*", "onnxruntime_pybind*", "libnvinfer*"),
    *("libopenvino*", "libhorovod*", "libmlx*", "libmegengine*", "libnnabla*", "libcntk*"),
)
ENDINGS = (".so", ".a")


def fits(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name is one of a family."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def is_module(name: str) -> bool:
    """Whether an entry beside packages is a framework's: `torch`, `torch.py`, `torch-2.dist-info`.

    `-` and `_` are one in the names of distributions.
    """
    return fits(name.partition(".")[0].partition("-")[0].lower(), MODULES)


def is_library(name: str) -> bool:
    """Whether a file is a framework's library, by its name."""
    stem, _, rest = name.partition(".")
    return fits(stem, LIBRARIES) and any(f"{end}." in f".{rest}." for end in ENDINGS)


def found(prefix: Path, path: list[str]) -> Iterator[Path]:
    """Give what a prefix holds of frameworks, and what of them Python finds elsewhere."""
    places = {Path(place) for place in path if Path(place).is_dir()}
    for folder, folders, files in os.walk(prefix):
        yield from (Path(folder, name) for name in files if is_library(name))
        places |= {Path(folder, name) for name in folders if name in PACKAGES}
    for place in places:
        yield from (entry for entry in place.iterdir() if is_module(entry.name))


def main() -> None:
    """Run the case."""
    with Emitter() as out:
        own = str(Path(__file__).parent)  # the cases, one of which may have a framework's name
        there = sorted({*found(Path(sys.prefix), [p for p in sys.path if p != own])})
        out.check("no_framework", not there, f"of frameworks: {listed(there[:10])}")


if __name__ == "__main__":
    main()
