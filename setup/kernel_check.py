"""Start a Jupyter kernel by its name and run a cell in it: python kernel_check.py NAME.

Its Jupyter has no module loaded: what `!` runs in a cell has to come from the stack all the same.
"""

from __future__ import annotations

import os
import sys

from jupyter_client.manager import start_new_kernel

CELL = """
import shutil, sys, torch
from pathlib import Path
print('kernel:', sys.prefix, torch.__version__)
found = shutil.which('python3')
assert Path(found).parent == Path(sys.executable).parent, f'!python3 is {found}'
"""


def main() -> None:
    """Run the cell, show what it prints, and fail if it fails."""
    os.environ["PATH"] = os.defpath
    manager, client = start_new_kernel(kernel_name=sys.argv[1])
    try:
        reply = client.execute_interactive(CELL, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if reply["content"]["status"] != "ok":
        sys.exit(f"the kernel {sys.argv[1]} could not run: {CELL}")


if __name__ == "__main__":
    main()
