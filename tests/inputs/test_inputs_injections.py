"""What a site injects: two injections of one system never overwrite each other unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.cli import main
from stackwright.errors import ManyErrors
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import plan_hash, resolve, warnings

LABEL = parse("demo/2.10-cpu@laptop")
HEAD = "name: {}\nwhy: For the tests.\nsource: https://example.org/injections\n"
DRIVER = """bind:
  - {source: /usr/lib64/libcuda.so.1, target: /opt/site/lib/libcuda.so.1}
env: {NVIDIA_VISIBLE: all}
prepend: {LD_LIBRARY_PATH: /opt/site/lib}
libraries:
  - {soname: libcuda.so.1, glibc: "2.34"}
"""


def inject(site: Path, **files: str) -> Site:
    """Write injections, and name all of them in the laptop's file, which has 7 lines before."""
    folder = site / "systems/injections"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(HEAD.format(name) + text)
    with (site / "systems/laptop.yaml").open("a") as file:
        file.write(f"injections: [{', '.join(files)}]\n")
    return Site(site)


def refused(site: Site) -> list[str]:
    with pytest.raises(ManyErrors) as caught:
        site.system("laptop")
    return [str(error) for error in caught.value.errors]


def test_injections_are_part_of_the_plan_in_the_order_of_the_system(site_folder: Path) -> None:
    before = plan_hash(resolve(Site(site_folder), LABEL))
    mpi = "prepend: {LD_LIBRARY_PATH: /opt/site/mpi}\n"

    plan = resolve(inject(site_folder, zdriver=DRIVER, mpi=mpi), LABEL)

    assert [each.name for each in plan.machine.injections] == ["zdriver", "mpi"]
    assert plan_hash(plan) != before


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (
            "env:\n  NVIDIA_VISIBLE: none\n",
            "systems/injections/second.yaml:5:19: 'second' overwrites NVIDIA_VISIBLE, which"
            " 'driver' writes as well (systems/injections/driver.yaml:6:23)",
        ),
        (
            "copy:\n  - {source: /etc/site, target: /opt/site/lib}\n",
            "systems/injections/second.yaml:5:5: 'second' overwrites /opt/site/lib, which 'driver'"
            " writes as well (systems/injections/driver.yaml:5:5)",
        ),
        (
            "libraries: [{soname: libmpi.so.12}]\nconflicts: [driver]\n",
            "systems/injections/second.yaml:5:13: 'second' can't be used with 'driver'",
        ),
        (
            'libraries: [{soname: libx.so.1, glibc: "2.38"}]\n',
            "systems/injections/second.yaml:4:40: libx.so.1 needs glibc 2.38, and images of"
            " bookworm have 2.36",
        ),
        (
            "bind: [{source: /a/lib}, {source: /b, target: /a/lib/x}]\n",
            "systems/injections/second.yaml:4:26: 'second' overwrites /a/lib/x"
            " (systems/injections/second.yaml:4:8)",
        ),
        (
            "env: {NCCL_NET_GDR_LEVEL: PBH}\n",
            "systems/injections/second.yaml:4:27: NCCL_NET_GDR_LEVEL=PBH is not legal: one of LOC,"
            " PIX, PXB, PHB, SYS (did you mean 'PHB'?)",
        ),
        (
            "prepend: {PATH: /opt/site/bin}\n",
            "systems/injections/second.yaml:4:11: 'PATH' is reserved: module and image put the"
            " prefix's programs first in it",
        ),
        (
            "conflicts: []\n",
            "systems/injections/second.yaml:1:1: it injects nothing: give it 'bind', 'copy', 'env'"
            " or 'libraries'",
        ),
        (
            "env: {A: b}\nname: third\n",
            "systems/injections/second.yaml:5:1: duplicate key 'name'"
            " (first at systems/injections/second.yaml:1:1)",
        ),
    ],
)
def test_what_would_be_overwritten_is_a_mistake_in_its_place(
    second: str, said: str, site_folder: Path
) -> None:
    assert said in refused(inject(site_folder, driver=DRIVER, second=second))


def test_a_folder_beside_another_is_not_overwritten(site_folder: Path) -> None:
    beside = "bind: [{source: /x, target: /opt/site/lib64}]\n"
    assert len(inject(site_folder, driver=DRIVER, beside=beside).injections("laptop")) == 2


def test_an_injection_that_has_no_file_is_told_where_it_is_named(site_folder: Path) -> None:
    inject(site_folder, driver=DRIVER)
    file = site_folder / "systems/laptop.yaml"
    file.write_text(file.read_text().replace("[driver]", "[driver, drivr]"))

    assert refused(Site(site_folder)) == [
        "systems/laptop.yaml:8:22: the site has no injection 'drivr' (did you mean 'driver'?)"
    ]


def test_an_injection_is_called_as_its_file_is(site_folder: Path) -> None:
    site = inject(site_folder, driver=DRIVER)
    (site_folder / "systems/injections/driver.yaml").write_text(HEAD.format("other") + DRIVER)

    assert refused(site) == [
        "systems/injections/driver.yaml:1:7: the injection is called 'other' but its file"
        " 'driver.yaml'"
    ]


# What else a system says


def test_a_system_sets_variables_for_every_stack_and_says_when_it_overrides_one(
    site_folder: Path,
) -> None:
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write("environment:\n  - {name: OMP_NUM_THREADS, value: '2'}\n")
    site = Site(site_folder)

    assert {v.name: v.value for v in resolve(site, LABEL).environment}["OMP_NUM_THREADS"] == "2"
    assert warnings(site, LABEL) == (
        "systems/laptop.yaml:9:5: OMP_NUM_THREADS=2, not 4 as demo has it",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "environment:\n  - {name: OMP_NUM_THREADS, value: many}\n",
            "systems/laptop.yaml:9:5: OMP_NUM_THREADS=many is not legal: a whole number from 1",
        ),
        (
            "environment:\n  - {name: OMP_NUM_THREADS, value: '1'}\n"
            "  - {name: OMP_NUM_THREADS, value: '2'}\n",
            "systems/laptop.yaml:10:5: 'OMP_NUM_THREADS' is there twice"
            " (first at systems/laptop.yaml:9:5)",
        ),
        (
            "batch: {options: [--exclusive]}\n",
            "systems/laptop.yaml:8:8: 'batch' is for a scheduler's job scripts, and 'scheduler' is"
            " none",
        ),
        (
            "scheduler: slurm\nbatch: {options: ['--wrap=a b']}\n",
            "systems/laptop.yaml:9:19: '--wrap=a b' is not an option such as '--constraint=gpu'",
        ),
        (
            "mounts: [{path: /tmp/../usr}]\n",
            "systems/laptop.yaml:8:17: '/tmp/../usr' is not an absolute path without '..'",
        ),
        (
            "mounts: [{path: /opt/stackwright/bin}]\n",
            "systems/laptop.yaml:8:17: /opt/stackwright/bin is the stack's own: what ran would not"
            " be what was certified",
        ),
    ],
)
def test_mistakes_of_a_system_are_told_in_their_places(
    text: str, said: str, site_folder: Path
) -> None:
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write(text)
    assert refused(Site(site_folder)) == [said]


def test_show_says_what_a_job_script_needs_and_what_the_system_can_do(
    site_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site_folder / "store"))
    with (site_folder / "systems/summit-like.yaml").open("a") as file:
        file.write(
            "batch: {partition: gpu, options: [--constraint=gpu], asks: [--account]}\n"
            "capabilities:\n"
            "  - {name: gpu-aware-mpi, why: It sends., source: 'https://example.org/mpi'}\n"
        )

    assert main(["show", "demo/2.10-cpu@summit-like"]) == 0

    out = capsys.readouterr().out
    assert "batch        slurm partition gpu --constraint=gpu --account=...\n" in out
    assert "capability   gpu-aware-mpi: It sends. (https://example.org/mpi)\n" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mpi: {name: cray-mpich, abi: mpich}\n", ()),
        (
            "mpi: {name: spectrum-mpi}\n",
            (
                "systems/laptop.yaml:8:6: spectrum-mpi has another ABI than the mpich of demo,"
                " and can't take its place",
            ),
        ),
        (
            "module: {system: tcl}\n",
            ("systems/laptop.yaml:8:18: only Lmod reads the modulefile, which is Lua",),
        ),
    ],
)
def test_what_of_a_stack_has_no_use_on_a_system_is_a_warning(
    text: str, said: tuple[str, ...], site_folder: Path
) -> None:
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write(text)
    assert warnings(Site(site_folder), LABEL) == said
