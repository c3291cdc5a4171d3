"""The small stack with a variant that Spack installs, and one that it makes from source."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from build_samples import FIXED_LOCK, make_site

from stackwright.building.providers.scripts import write_files
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import lock_inputs
from stackwright.locking.locks import Lock, load_lock
from stackwright.plans.plan import Plan, resolve
from stackwright.spack.dialect import Dialect
from stackwright.spack.lockfile import SpackLock, load_spack_lock
from stackwright.spack.wheels import lock_of_wheels
from stackwright.tools.spack import PACKAGES

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
ROOTS = "STACKWRIGHT_TEST_SPACK"
"""The variable that names the roots of the Spacks to test with, colons between them."""
COPIED = ("layer.py", ".patch")

WHEELS = "mini/1.0-cpu@bench"
LABEL = "mini/1.0-spack@bench"
SOURCE = "mini/1.0-source@bench"

VERSION = """
      spack: {}
      source: {}
"""
VARIANTS = """
  spack:
    provider: spack
    wheels: cpu
  source:
    provider: spack
    gpu: nvidia
    frameworks: [py-torch@2.9.0 +gloo +mkldnn]
    packages: [osu-micro-benchmarks, nccl +cuda]
"""
SYSTEM = """
gpus:
  - {vendor: nvidia, model: A100, count: 1, memory_gib: 40}
spack:
  compilers:
    - name: gcc
      version: 12.2.0
      prefix: /usr
      programs: {c: /usr/bin/gcc, cxx: /usr/bin/g++}
  externals:
    - {spec: cuda@12.4.1, prefix: /opt/cuda}
    - {spec: mpich@4.2, modules: [mpich/4.2]}
  requires: [libfabric@1.22.0]
  providers: {mpi: mpich}
  cuda_arch: "80"
"""


def make_spack_site(folder: Path) -> Site:
    """The small site, with recipes, and Spack in its stack and its system."""
    root = make_site(folder)
    shutil.copytree(REPOSITORY / "recipes", root / "recipes")
    stack = root / "stacks" / "mini.yaml"
    text = stack.read_text().replace("      cpu: {}\n", f"      cpu: {{}}{VERSION}")
    stack.write_text(text.replace("\nmodule:", f"{VARIANTS}\nmodule:", 1))
    system = root / "systems" / "bench.yaml"
    system.write_text(system.read_text() + SYSTEM)
    return Site(root)


def check_reviewed(name: str, files: Mapping[str, bytes]) -> None:
    """Compare what was rendered, not what was copied, with ``golden/NAME``.

    `UPDATE_GOLDEN=1 pytest tests/spack` writes it anew, for review.
    """
    folder = HERE / "golden" / name
    texts = {file: content for file, content in files.items() if not file.endswith(COPIED)}
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(folder, ignore_errors=True)
        write_files(texts, folder)
    golden = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert texts.keys() == golden.keys()
    for file, text in texts.items():
        assert text.decode() == golden[file].decode(), file


def plan_of(site: Site, label: str = LABEL) -> Plan:
    return resolve(Site(site.root), parse(label))


def wheels_of(site: Site) -> Lock:
    """The lock with invented hashes, in which one wheel needs another."""
    plan = plan_of(site)
    lock = load_lock(FIXED_LOCK)
    needs = {"mpi4py": ("mpich",)}
    layers = tuple(
        layer.model_copy(
            update={
                "wheels": tuple(
                    wheel.model_copy(update={"needs": needs.get(wheel.name, ())})
                    for wheel in layer.wheels
                )
            }
        )
        for layer in lock.wheels.layers
    )
    wheels = lock.wheels.model_copy(update={"layers": layers})
    return lock.model_copy(update={"label": LABEL, "inputs": lock_inputs(plan), "wheels": wheels})


def write_wheels(site: Site) -> Lock:
    """The lock of the variant whose wheels these are, where the site keeps it."""
    lock = wheels_of(site).model_copy(
        update={"label": WHEELS, "inputs": lock_inputs(plan_of(site, WHEELS))}
    )
    path = site.lock_file(parse(WHEELS))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lock.to_json())
    return lock


def spack_roots() -> list[Path]:
    """The Spacks that there are to test with: those that are named, else the one on PATH."""
    named = [Path(root) for root in os.environ.get(ROOTS, "").split(":") if root]
    found = shutil.which("spack")
    return named or ([Path(found).resolve().parents[1]] if found else [])


needs_spack = pytest.mark.skipif(
    not spack_roots(), reason=f"needs a Spack on PATH, or several by {ROOTS}=ROOT:ROOT"
)
needs_packages = pytest.mark.skipif(
    not os.environ.get(PACKAGES), reason=f"needs {PACKAGES}, a checkout of Spack's packages"
)
SOURCES_HERE = "STACKWRIGHT_TEST_SOURCES"
"""Names folders with the sources that tests build from."""


def recorded(dialect: Dialect) -> SpackLock:
    """What a real Spack of the series has decided for the small stack."""
    return load_spack_lock(HERE / "recorded" / f"{dialect.series}.spack.json", parse(LABEL))


def write_both(site: Site, dialect: Dialect) -> tuple[Lock, Path]:
    """The locks of the label, as `stackwright lock` would have written them."""
    write_wheels(site)
    lock = lock_of_wheels(plan_of(site), site)
    site.lock_file(parse(LABEL)).write_bytes(lock.to_json())
    path = site.spack_lock_file(parse(LABEL))
    path.write_bytes(recorded(dialect).to_json())
    return lock, path


def from_source(**variants: object) -> dict[str, Any]:
    """A lock of format 6 with the packages that the variant made from source asks for."""
    asked = {
        "python": ("3.11.14", {}),
        "py-torch": ("2.9.0", {"gloo": True, "mkldnn": True, **variants}),
        "nccl": ("2.28.7", {"cuda": True, "cuda_arch": ["80"]}),
        "osu-micro-benchmarks": ("7.5", {}),
    }
    return {
        "roots": [{"hash": name, "spec": name} for name in asked],
        "concrete_specs": {
            name: {
                "name": name,
                "namespace": "builtin",
                "version": version,
                "arch": {"target": {"name": "x86_64"}},
                "parameters": parameters,
            }
            for name, (version, parameters) in asked.items()
        },
    }
