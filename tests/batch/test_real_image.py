"""The suite over two nodes in a real image, under Charliecloud."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY
from real_samples import Mini
from slurm_samples import HERE, Slurm, Stack, waiting

pytestmark = [
    pytest.mark.real,
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("ch-run"), reason="needs: apt-get install charliecloud"),
]


@pytest.fixture
def image(mini: Mini, slurm: Slurm, tmp_path: Path) -> Stack:
    """The small stack as it was built, on a system with Slurm."""
    site, store = tmp_path / "site", tmp_path / "store"
    shutil.copytree(mini.site.root, site)
    shutil.copytree(HERE / "site", site, dirs_exist_ok=True)
    if not (site / "validation/probes").exists():
        shutil.copytree(REPOSITORY / "validation/probes", site / "validation/probes")
    subprocess.run(["cp", "-al", mini.store.root, store], check=True)
    for log in store.glob("*.log"):  # appended to in place
        shutil.copy(log, tmp_path / "log")
        (tmp_path / "log").replace(log)
    return Stack(site, store, slurm)


def test_a_node_that_dies_is_invalid_and_what_ran_before_stands(image: Stack) -> None:
    words = ("validate", LABEL, "--launcher", "slurm", "-N", "2", "--suite", "image")
    with waiting(image, *words, case="waiting.torchrun-2.image") as client:
        image.slurm.kill("nid0002")
        out, err = client.communicate(timeout=180)

    assert client.returncode == 4, out + err
    assert dict(re.findall(r"^(\S+)\.(?:image|module) +(\S+)", out, re.MULTILINE)) == {
        "told.torchrun-2": "PASS",
        "mpi.mpirun-2": "PASS",
        "waiting.torchrun-2": "INVALID",
    }
    (run,) = image.runs
    prefixes = {
        rank[0]["prefix"]
        for record in image.records(run)
        for rank in record["ranks"]
        if record["case"].endswith(".image")
    }
    assert all(not prefix.startswith(str(image.store)) for prefix in prefixes)
    assert len(prefixes) == 1
