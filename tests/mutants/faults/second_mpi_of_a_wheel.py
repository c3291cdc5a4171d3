"""Another MPI in the process, under a name that auditwheel would give it.

Inside it has yet another, for which the loader doesn't take it for the stack's.
"""

import ctypes
import sys
import tempfile
from pathlib import Path

first = next((Path(sys.prefix) / "lib").glob("libmpi.so.12*"))
with tempfile.TemporaryDirectory() as folder:
    for entry in first.parent.iterdir():
        Path(folder, entry.name).symlink_to(entry)
    copy = Path(folder, "libmpi-1a2b3c4d.so.12")
    copy.write_bytes(first.read_bytes().replace(b"libmpi.so.12", b"libmpi.so.77"))
    ctypes.CDLL(str(copy))
