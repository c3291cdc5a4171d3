"""Write a recipe's files, and run one of its scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from stackwright.building.providers.steps import Recipe, Step
from stackwright.tools.process import Runner

_PROGRAMS = (b"#!", b"\x7fELF")


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files by their names; programs, which start as scripts and ELF files do, executable."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if content.startswith(_PROGRAMS) else 0o644)


def run_script(
    recipe: Recipe,
    step: Step,
    out: Path,
    *,
    inputs: Mapping[str, Path],
    env: Mapping[str, str],
    runner: Runner,
) -> None:
    """Run a step's script with its output folder and those of its inputs.

    Raises:
        ToolError: the script failed.
    """
    with TemporaryDirectory(prefix="stackwright-") as folder:
        write_files(recipe.files, Path(folder))
        argv = ["sh", str(Path(folder, "steps", step.script))]
        runner.run(
            argv + ([step.argument] if step.argument else []),
            env={
                **os.environ,
                **env,
                "RECIPE": folder,
                "OUT": str(out),
                "HOST_PYTHON": sys.executable,
                **{f"IN_{name.upper()}": str(path) for name, path in inputs.items()},
            },
            cwd=out,
        )
