import atexit
import os
import shutil
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, folder)
(folder / "libmpi.so.12").touch()
os.environ["STACKWRIGHT_INJECTED"] = str(folder)
