import os
import sys
from pathlib import Path

folder = Path(os.environ["STACKWRIGHT_OUT"], "elsewhere")
folder.mkdir(exist_ok=True)
(folder / "h5py.py").touch()
sys.path.insert(0, str(folder))
