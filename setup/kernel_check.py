"""Start a Jupyter kernel by its name and run a program in a cell: python kernel_check.py NAME CODE.

Its Jupyter has no module loaded: what `!` runs in a cell has to come from the stack all the same.
"""

from __future__ import annotations

import os
import sys

from jupyter_client.manager import start_new_kernel

CELL = """
import shutil, sys
from pathlib import Path
print('kernel:', sys.prefix)
found = shutil.which('python3')
assert Path(found).parent == Path(sys.executable).parent, f'!python3 is {found}'
"""


def main() -> None:
    """Run the program in the cell, show what it prints, and fail if it fails."""
    name, program = sys.argv[1:]
    cell = f"{CELL}{program}\n"
    os.environ["PATH"] = os.defpath
    manager, client = start_new_kernel(kernel_name=name)
    try:
        reply = client.execute_interactive(cell, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if reply["content"]["status"] != "ok":
        sys.exit(f"the kernel {name} could not run: {cell}")


if __name__ == "__main__":
    main()
