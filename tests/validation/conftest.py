"""What tests of the cases share."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from payload_runs import VALIDATION


@pytest.fixture(scope="session")
def roofline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The roofline probe's binary."""
    if shutil.which("cc") is None:
        pytest.skip("install a C compiler named cc, such as Debian's gcc with libc6-dev")
    binary = tmp_path_factory.mktemp("roofline") / "roofline"
    flags = ["-O3", "-march=native", "-static", "-pthread"]
    subprocess.run(["cc", *flags, "-o", binary, VALIDATION / "probes/roofline.c"], check=True)
    return binary
