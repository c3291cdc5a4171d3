"""Another MPI in the process: a copy of the stack's, as a package of its own would bring it.

It goes by another name, also inside: by its own the loader would take it for the stack's, which it
would then serve in place of. What it needs itself, it looks for beside it.
"""

import ctypes
import sys
import tempfile
from pathlib import Path

first = next((Path(sys.prefix) / "lib").glob("libmpi.so.12*"))
with tempfile.TemporaryDirectory() as folder:
    for entry in first.parent.iterdir():
        Path(folder, entry.name).symlink_to(entry)
    copy = Path(folder, "libmpi.so.40")
    copy.write_bytes(first.read_bytes().replace(b"libmpi.so.12", copy.name.encode()))
    ctypes.CDLL(str(copy))
