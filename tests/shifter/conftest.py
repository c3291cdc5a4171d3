"""Tests of what is published use the releases of tests/release."""

from __future__ import annotations

import sys
from pathlib import Path

# tests/ is no package, and pytest puts only the folders of collected files on the path.
for name in ("release", "certify"):
    sys.path.insert(0, str(Path(__file__).parents[1] / name))
