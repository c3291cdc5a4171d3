"""A copy under another runtime's name, as a second wheel would bring it.

Loaded before torch it would serve torch too, and be the only one. It stays where it was loaded
from: who asks the loader for libraries passes over those whose file is gone.
"""

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

import torch

first = next(Path(torch.__file__).parent.rglob("libgomp*"))
folder = tempfile.mkdtemp(dir=os.environ["STACKWRIGHT_OUT"])
ctypes.CDLL(shutil.copy(first, f"{folder}/libiomp5.so"))
