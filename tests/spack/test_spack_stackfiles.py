"""Variants that Spack installs: what a stack file and a system file must say of them."""

from __future__ import annotations

import json

import pytest
from spack_samples import LABEL, SOURCE, WHEELS, plan_of

from stackwright.cli import main
from stackwright.errors import ExitCode, ManyErrors, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site


def edit(site: Site, file: str, old: str, new: str) -> Site:
    path = site.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return Site(site.root)


def refused(site: Site) -> str:
    with pytest.raises(ManyErrors) as caught:
        site.stack("mini")
    return str(caught.value)


def test_a_variant_with_the_wheels_of_another_is_like_it_in_all_that_users_see(site: Site) -> None:
    own, other = plan_of(site), plan_of(site, WHEELS)

    for field in ("frameworks", "packages", "environment", "overlay", "mpi", "module", "python"):
        assert getattr(own, field) == getattr(other, field), field
    assert (own.provider, other.provider) == ("spack", "wheel")
    assert own.spack is not None
    assert own.spack.wheels == "cpu"


def test_a_variant_made_from_source_asks_for_specs(site: Site) -> None:
    plan = plan_of(site, SOURCE)

    assert plan.frameworks == ("py-torch@2.9.0 +gloo +mkldnn",)
    assert plan.packages == ("nccl +cuda", "osu-micro-benchmarks")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("wheels: cpu", "wheels: cpuu", "there is no variant 'cpuu' (did you mean 'cpu'?)"),
        ("wheels: cpu", "wheels: source", "variant 'source' has no wheels"),
        ("wheels: cpu", "wheels: cpu\n    mpi: openmpi", "'mpi' is that of variant 'cpu'"),
        ("      spack: {}", "      spack: {mpi: openmpi}", "'mpi' is that of variant 'cpu'"),
        ("      cpu: {}\n", "", "version 1.0 has no variant 'cpu', whose wheels these are"),
        ("    mpi: mpich\n", "    mpi: mpich\n    wheels: spack\n", "only another provider"),
        ("py-torch@2.9.0", "py-torch", "must pin one version, as in py-torch@2.9.0"),
        ("nccl +cuda", "nccl ^cuda", "what is '^cuda'"),
        ("    gpu: nvidia\n", "    why: MKL\n", "'why' is the reason for 'architectures', and"),
    ],
)
def test_what_makes_no_sense_is_told_in_its_place(
    site: Site, old: str, new: str, said: str
) -> None:
    message = refused(edit(site, "stacks/mini.yaml", old, new))

    assert said in message
    assert "stacks/mini.yaml:" in message


def test_a_system_that_says_nothing_of_spack_has_no_such_label(site: Site) -> None:
    text = (site.root / "systems/bench.yaml").read_text()
    head, _, rest = text.partition("\nspack:\n")
    (site.root / "systems/bench.yaml").write_text(head + "\n")
    assert "cuda_arch" in rest

    other = Site(site.root)

    assert {str(label) for label in other.labels} == {WHEELS}
    assert "says nothing" in other.refused_like("mini@*")[parse(LABEL)]


def test_an_external_must_be_somewhere(site: Site) -> None:
    other = edit(site, "systems/bench.yaml", "cuda@12.4.1, prefix: /opt/cuda", "cuda@12.4.1")

    with pytest.raises(StackwrightError, match="where is it"):
        other.system("bench")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{c: /usr/bin/gcc, cxx: /usr/bin/g++}", "{c: /usr/bin/gcc}", "it lacks cxx"),
        ("spec: cuda@12.4.1", "spec: gcc@12.4.1", "gcc: told twice among compilers, externals"),
        ("libfabric@1.22.0", "mpich@4.2", "mpich: told twice among compilers, externals, requires"),
        ("libfabric@1.22.0", "libfabric ^ucx", "A spec has"),
        ('cuda_arch: "80"', 'cuda_arch: "sm_80"', "is not a CUDA architecture such as '80'"),
        ("spec: mpich@4.2", "spec: mpich@4.2 %gcc", "A spec has"),
    ],
)
def test_a_system_says_what_spack_can_use(site: Site, old: str, new: str, said: str) -> None:
    other = edit(site, "systems/bench.yaml", old, new)

    with pytest.raises(ManyErrors) as caught:
        other.system("bench")
    assert said in str(caught.value)
    assert "systems/bench.yaml:" in str(caught.value)


def test_the_lock_of_spack_is_part_of_the_plan(site: Site) -> None:
    before = plan_of(site)
    path = site.spack_lock_file(parse(LABEL))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")

    assert plan_of(site) != before


def test_the_variant_that_is_meant_without_one_must_be_there(site: Site) -> None:
    other = edit(site, "stacks/mini.yaml", "name: mini\n", "name: mini\ndefault: cpus\n")

    assert "there is no variant 'cpus' (did you mean 'cpu'?)" in refused(other)


def test_what_is_retired_is_listed_with_the_reason(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(site, "stacks/mini.yaml", "status: ga\n", "status: retired\n    why: nobody asks for it\n")

    assert main(["--site", str(site.root), "list", SOURCE, "--json"]) == 0

    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["notes"]) == ("retired", ["nobody asks for it"])


def test_of_what_is_retired_no_lock_is_wanted_and_none_is_made(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(site, "stacks/mini.yaml", "status: ga\n", "status: retired\n    why: nobody asks for it\n")

    assert main(["--site", str(site.root), "lock", SOURCE, "--check", "--json"]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["state"], found["why"]) == ("retired", "nobody asks for it")

    assert main(["--site", str(site.root), "lock", SOURCE]) == ExitCode.USAGE
    assert "is retired: nobody asks for it" in capsys.readouterr().err
