"""Start a Jupyter kernel by its name and run one cell in it: python kernel_check.py NAME."""

from __future__ import annotations

import sys

from jupyter_client.manager import start_new_kernel

CELL = "import sys, torch; print('kernel:', sys.prefix, torch.__version__)"


def main() -> None:
    """Run the cell, show what it prints, and fail if it fails."""
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
