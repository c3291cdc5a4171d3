"""The base system's own, by another way."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

maps = Path("/proc/self/maps").read_text().split()
here = next(Path(word).parent for word in maps if Path(word).name.startswith("libc.so"))
folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder)
shutil.copy(here / "libgcc_s.so.1", folder)
os.environ["LD_LIBRARY_PATH"] = folder
