"""docs/trust.md keeps its word: its commands run, and the tests that it names exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from certificate_samples import RELEASE, STRANGER, certificate, statement

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "trust.md").read_text()


def verify_by_hand(folder: Path, envelope: bytes) -> str:
    (script,) = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    (folder / "certificate.json").write_bytes(envelope)
    (folder / "release.pub").write_bytes(RELEASE.public.pem)
    command = ["bash", "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_the_commands_verify_a_certificate(tmp_path: Path) -> None:
    assert verify_by_hand(tmp_path, certificate()) == "Verified OK\n"
    assert (tmp_path / "statement.json").read_bytes() == statement().to_json()


def test_the_commands_refuse_another_key(tmp_path: Path) -> None:
    assert verify_by_hand(tmp_path, certificate(key=STRANGER)) == "Verification failure\n"


def test_every_test_in_the_table_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    sources = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    defined = {
        name for text in sources for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    }
    assert len(named) > 30
    assert named <= defined
