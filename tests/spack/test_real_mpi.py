"""The MPI of a site, as Spack's packages have it: the vendor's, or one made for its scheduler."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from spack_samples import needs_spack, plan_of, spack_roots

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.spack.concretize import concretize
from stackwright.store import Store
from stackwright.tools.process import Runner
from stackwright.tools.spack import ROOT, Checkout, find_packages, find_spack

pytestmark = [pytest.mark.real, pytest.mark.long, needs_spack]

STACK = """
      mpi: {}
"""
VARIANT = """
  mpi:
    provider: spack
    frameworks: [osu-micro-benchmarks@7.5]
    packages: [libfabric]
"""
VENDOR = """
  externals:
    - {spec: cray-mpich@8.1.25, prefix: /opt/cray/pe/mpich/8.1.25/ofi/gnu/9.1}
    - {spec: libfabric@1.15.2 fabrics=cxi, prefix: /opt/cray/libfabric/1.15.2.0}
  providers: {mpi: cray-mpich}
"""
SCHEDULER = """
  externals:
    - {spec: slurm@23-11-1-1 +pmix, prefix: /usr}
    - {spec: pmix@4.2.6, prefix: /usr}
    - {spec: libfabric@1.15.2 fabrics=cxi, prefix: /opt/cray/libfabric/1.15.2.0}
  requires: [openmpi@5 ~internal-pmix schedulers=slurm fabrics=ofi]
  providers: {mpi: openmpi}
"""


@pytest.fixture(params=spack_roots(), ids=lambda root: root.name)
def spack(request: pytest.FixtureRequest) -> Checkout:
    return find_spack(Runner(), {ROOT: str(request.param)})


def decided(site: Site, spack: Checkout, told: str, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The packages of a lock by name, where the system says this of its MPI."""
    stack = site.root / "stacks/mini.yaml"
    text = stack.read_text().replace("      cpu: {}\n", f"      cpu: {{}}{STACK}")
    stack.write_text(text.replace("\nmodule:", f"{VARIANT}\nmodule:", 1))
    system = site.root / "systems/bench.yaml"
    text = system.read_text()
    begin, end = text.index("  externals:"), text.index("  cuda_arch:")
    system.write_text(text[:begin] + told.lstrip("\n") + text[end:])
    try:
        packages = find_packages(spack, Runner(), os.environ)
    except StackwrightError as error:
        pytest.skip(f"needs Spack's packages: {error.hint}")
    plan = plan_of(site, "mini/1.0-mpi@bench")
    store = Store(tmp_path / "store")
    found = concretize(plan, None, site, spack, packages, store, Runner(), seconds=1800)
    return {node["name"]: node for node in found.lock["concrete_specs"].values()}


def test_a_vendors_mpi_is_taken_and_none_is_made(
    site: Site, spack: Checkout, tmp_path: Path
) -> None:
    nodes = decided(site, spack, VENDOR, tmp_path)

    assert nodes["cray-mpich"]["external"]["path"].startswith("/opt/cray/pe/mpich")
    assert nodes["libfabric"]["external"]["path"].startswith("/opt/cray/libfabric")
    assert not {"mpich", "openmpi"} & nodes.keys()


def test_an_mpi_is_made_for_the_scheduler_and_the_network(
    site: Site, spack: Checkout, tmp_path: Path
) -> None:
    nodes = decided(site, spack, SCHEDULER, tmp_path)

    assert "external" not in nodes["openmpi"]
    assert nodes["openmpi"]["parameters"]["schedulers"] == ["slurm"]
    assert nodes["openmpi"]["parameters"]["fabrics"] == ["ofi"]
    assert all("external" in nodes[name] for name in ("slurm", "pmix", "libfabric"))
