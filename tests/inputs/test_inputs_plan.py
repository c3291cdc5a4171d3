"""Plans: what decides the hash, and what must not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan, plan_hash, resolve, warnings
from stackwright.plans.plandiff import compare

CPU = parse("demo/2.10-cpu@laptop")
CUDA = parse("demo/2.10-cuda@summit-like")
PROFILE = '{summary: Few threads, environment: [{name: OMP_NUM_THREADS, value: "1"}]}'


def hash_of(folder: Path) -> str:
    return plan_hash(resolve(Site(folder), CPU))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_version_is_merged_into_its_variant(site_folder: Path) -> None:
    plan = resolve(Site(site_folder), CUDA)

    assert plan.frameworks == ("demo-framework==2.10", "nvidia-nccl-cu12==2.27.3")
    assert plan.packages == ("numpy==2.2.0",)
    assert plan.environment == ()
    assert plan.gpu == "nvidia"


def test_the_help_of_another_variant_than_the_default_ends_with_its_summary(
    site_folder: Path,
) -> None:
    edit(site_folder / "stacks/demo.yaml", "python:", "default: cpu\npython:")
    site = Site(site_folder)
    stack = site.stack("demo")

    assert resolve(site, CPU).module == stack.module
    own = f"\nVariant cuda: {stack.variants['cuda'].summary}\n"
    assert resolve(site, CUDA).module.help == stack.module.help + own


def test_a_versions_setting_wins_over_its_variants_and_that_over_the_profiles(
    site_folder: Path,
) -> None:
    stack = site_folder / "stacks" / "demo.yaml"

    def threads() -> list[str]:
        plan = resolve(Site(site_folder), CPU)
        return [v.value for v in plan.environment if v.name == "OMP_NUM_THREADS"]

    edit(stack, "tuning:\n  fabric:", f"tuning:\n  few: {PROFILE}\n  fabric:")
    edit(stack, "    mpi: mpich", "    mpi: mpich\n    tuning: [few]")
    assert threads() == ["4"]

    edit(stack, "cpu: {}", 'cpu: {environment: [{name: OMP_NUM_THREADS, value: "8"}]}')
    assert threads() == ["8"]


def test_a_variant_with_gpus_is_only_on_systems_that_have_them(site_folder: Path) -> None:
    found = {str(label) for label in Site(site_folder).labels}

    assert found == {
        "demo/1.9-cpu@laptop",
        "demo/1.9-cpu@summit-like",
        "demo/2.10-cpu@laptop",
        "demo/2.10-cpu@summit-like",
        "demo/2.10-cuda@summit-like",
    }


def test_the_hash_is_that_of_the_canonical_json_and_reads_back(site_folder: Path) -> None:
    plan = resolve(Site(site_folder), CPU)

    assert plan_hash(plan) == hash_bytes(canonical_json(plan.to_json()))
    assert Plan.model_validate_json(json.dumps(plan.to_json())) == plan


def test_no_path_of_this_machine_is_in_a_plan(site_folder: Path) -> None:
    text = json.dumps(resolve(Site(site_folder), CPU).to_json())

    assert str(site_folder) not in text
    assert "/" + site_folder.parts[1] + "/" not in text


def move_elsewhere(site: Path) -> Path:
    copy = site.parent / "copies" / "other name"
    shutil.copytree(site, copy, copy_function=shutil.copyfile)
    os.chdir("/")
    return copy


def change_times_and_modes(site: Path) -> Path:
    for path in site.rglob("*"):
        os.utime(path, (0, 0))
        path.chmod(0o750 if path.is_dir() else 0o600)
    return site


def reorder_keys_and_lists(site: Path) -> Path:
    edit(site / "stacks" / "demo.yaml", '["numpy>=2.2", h5py]', '["h5py", "NumPy >= 2.2"]')
    text = (site / "stacks" / "demo.yaml").read_text()
    body, module = text.split("module:\n")
    (site / "stacks" / "demo.yaml").write_text("module:\n" + module + body)
    return site


def change_what_needs_no_rebuild(site: Path) -> Path:
    edit(site / "stacks" / "demo.yaml", "status: ga", "status: deprecated")
    edit(site / "systems" / "laptop.yaml", "cores: 2", "cores: 8")
    edit(site / "systems" / "laptop.yaml", "${DEMO_ROOT}/store", "/elsewhere")
    edit(site / "systems" / "laptop.yaml", "[podman]", "[docker, podman]")
    return site


def add_python_caches(site: Path) -> Path:
    (site / "images" / "__pycache__").mkdir()
    (site / "images" / "__pycache__" / "layer.pyc").write_bytes(b"cache")
    return site


@pytest.mark.parametrize(
    "change",
    [
        move_elsewhere,
        change_times_and_modes,
        reorder_keys_and_lists,
        change_what_needs_no_rebuild,
        add_python_caches,
    ],
)
def test_equal_inputs_give_an_equal_hash(site_folder: Path, change: Callable[[Path], Path]) -> None:
    before = hash_of(site_folder)

    assert hash_of(change(site_folder)) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "field"),
    [
        ("stacks/demo.yaml", '"numpy>=2.2"', '"numpy>=2.3"', "packages[numpy]"),
        ("stacks/demo.yaml", 'value: "4"', 'value: "2"', "environment[OMP_NUM_THREADS].value"),
        ("stacks/demo.yaml", "A demonstration.", "Another.", "module.help"),
        ("stacks/overlays/demo/etc/demo.toml", "hello", "bye", "overlay.digest"),
        ("systems/laptop.yaml", "x86_64_v3", "x86_64_v4", "machine.target"),
        (
            "systems/laptop.yaml",
            "[ca-certificates]",
            "[ca-certificates, libgomp1]",
            "base.packages[libgomp1]",
        ),
        ("images/Containerfile.j2", "base", "other", "templates.images"),
        ("modules/module.lua.j2", "demo", "other", "templates.modules"),
        (
            "validation/cases/tree_hash.py",
            "site",
            "sight",
            "templates.validation/cases/tree_hash.py",
        ),
    ],
)
def test_a_changed_input_changes_the_hash_and_is_named(
    site_folder: Path, file: str, old: str, new: str, field: str
) -> None:
    before = resolve(Site(site_folder), CPU)

    edit(site_folder / file, old, new)
    after = resolve(Site(site_folder), CPU)

    assert plan_hash(before) != plan_hash(after)
    (change,) = compare(before.to_json(), after.to_json(), CPU)
    assert change.field == field
    assert file == change.file or file.startswith(f"{change.file}/")


def test_the_lock_is_part_of_the_plan(site_folder: Path) -> None:
    unlocked = hash_of(site_folder)
    lock = Site(site_folder).lock_file(CPU)
    lock.parent.mkdir()

    lock.write_text("{}")

    assert lock.name == "demo-2.10-cpu@laptop.lock.json"
    assert resolve(Site(site_folder), CPU).lock_digest == hash_bytes(b"{}")
    assert hash_of(site_folder) != unlocked


def test_a_setting_that_is_unwise_with_the_pinned_version_is_a_warning(site_folder: Path) -> None:
    edit(site_folder / "stacks" / "demo.yaml", "tuning: []", "tuning: [fabric]")
    assert warnings(Site(site_folder), CUDA) == ("NCCL_CROSS_NIC=1: slower since 2.23",)

    edit(site_folder / "stacks" / "demo.yaml", "cu12==2.27.3", "cu12==2.22.3")
    assert warnings(Site(site_folder), CUDA) == ()
