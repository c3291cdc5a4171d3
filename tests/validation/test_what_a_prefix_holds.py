"""What the cases see that look at a prefix from outside: links, libraries, frameworks."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

import pytest
from payload_runs import CASES, Run, run_python


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """An environment whose Python is its own file, as a prefix's is."""
    venv.create(tmp_path / "stack", symlinks=False)
    return tmp_path / "stack"


def run_on(stack: Path, case: str) -> Run:
    python = [str(stack / "bin/python"), str(CASES / f"{case}.py")]
    return run_python(python, Path(tempfile.mkdtemp(dir=stack.parent)) / "out")


def test_a_link_out_of_the_prefix_fails_its_identity(stack: Path) -> None:
    (stack / "bin/numactl-latest").symlink_to("/tmp/evil/numactl")

    run = run_on(stack, "identity")

    assert run.checks() == {"tree_hash": False}
    assert "the link bin/numactl-latest leads out of the prefix" in str(run.details())


@pytest.mark.skipif(shutil.which("cc") is None, reason="install a C compiler named cc")
@pytest.mark.parametrize(
    ("place", "flags", "held"),
    [
        ("lib", ["-Wl,-rpath,$ORIGIN"], True),
        ("lib", [], False),
        ("lib/runtime", [], True),  # a copy for Python alone
        (None, [], True),  # the stack has none
    ],
)
def test_a_library_of_the_stack_is_not_taken_from_the_base(
    stack: Path, place: str | None, flags: list[str], held: bool
) -> None:
    """The base system has libresolv.so.2 always, which its Python doesn't need."""
    user = stack / "lib/libuser.so"
    needs = ["-Wl,--no-as-needed", "-lresolv"]
    subprocess.run(
        ["cc", "-shared", "-o", user, "-x", "c", "/dev/null", *needs, *flags], check=True
    )
    if place:
        own = stack / place / "libresolv.so.2"
        own.parent.mkdir(exist_ok=True)
        soname = "-Wl,-soname,libresolv.so.2"
        subprocess.run(["cc", "-shared", "-o", own, soname, "-x", "c", "/dev/null"], check=True)

    run = run_on(stack, "libraries")

    # The Python of this environment may have a library of its own from elsewhere.
    (told,) = (line for line in run.details() if line.startswith("from elsewhere"))
    assert ("libresolv" not in told) == held
    assert held or not run.checks()["libraries_from_stack"]


@pytest.mark.parametrize(
    "file",
    [
        "lib/python3/site-packages/torch/__init__.py",
        "lib/python3/site-packages/tf_nightly_cpu-2.22.dist-info/METADATA",
        "share/vendored/lib/libtensorflow_cc.so.2",
        "lib/python3/site-packages/fast_arrays/_pywrap_tensorflow_internal.so",
        "lib/libmxnet.so",
        "opt/libcaffe.a",
        "opt/python/dist-packages/paddle/__init__.py",
    ],
)
def test_a_framework_is_found_in_a_stack_of_tools(stack: Path, file: str) -> None:
    assert run_on(stack, "no_framework").checks() == {"no_framework": True}
    (stack / file).parent.mkdir(parents=True, exist_ok=True)
    (stack / file).touch()

    assert run_on(stack, "no_framework").checks() == {"no_framework": False}


@pytest.mark.parametrize(
    "file", ["scipy/_lib/array_api_compat/torch/__init__.py", "tools/torchlight.txt", "fftw.py"]
)
def test_what_only_sounds_like_a_framework_is_none(stack: Path, file: str) -> None:
    (packages,) = stack.glob("lib/python3*/site-packages")
    (packages / file).parent.mkdir(parents=True, exist_ok=True)
    (packages / file).touch()

    assert run_on(stack, "no_framework").checks() == {"no_framework": True}
