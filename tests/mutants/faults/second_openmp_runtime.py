"""A copy under another runtime's name, as a second wheel would bring it.

Loaded before torch it would serve torch too, and be the only one.
"""

import ctypes
import shutil
import tempfile
from pathlib import Path

import torch

first = next(Path(torch.__file__).parent.rglob("libgomp*"))
with tempfile.TemporaryDirectory() as folder:
    ctypes.CDLL(shutil.copy(first, f"{folder}/libiomp5.so"))
