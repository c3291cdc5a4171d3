"""What keeps a label from a release is told when it is planned, in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.cli import main
from stackwright.errors import ExitCode, ManyErrors, StackwrightError
from stackwright.fit import (
    check_fit,
    doubts,
    is_framework,
    misfits,
    release_suite,
    required_suite,
    unmet,
)
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.validation.suites import expand, load_suite

LAPTOP = parse("demo/2.10-cpu@laptop")
BIG = parse("demo/2.10-cpu@summit-like")
GPUS = parse("demo/2.10-cuda@summit-like")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def told(folder: Path) -> list[str]:
    return [str(error) for error in misfits(Site(folder), LAPTOP)]


def test_a_label_that_fits_says_nothing(site_folder: Path) -> None:
    assert told(site_folder) == []


def test_a_mistake_in_a_suite_is_told_in_its_place(site_folder: Path) -> None:
    edit(site_folder / "validation/suites/certify.yaml", "script: tree_hash", "script: tree_hsh")

    assert told(site_folder) == [
        "validation/suites/certify.yaml:5:13: unknown script 'tree_hsh' (did you mean 'tree_hash'?)"
    ]


def test_so_is_one_in_the_least_suite_of_the_system(site_folder: Path) -> None:
    (site_folder / "validation/suites/least.yaml").write_text("cases: []\n")
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write("minimum_suite: least\n")

    assert told(site_folder) == [
        "validation/suites/least.yaml:1:1: missing key 'name'",
        "validation/suites/least.yaml:1:1: missing key 'summary'",
    ]


def test_what_a_suite_needs_and_a_system_lacks_is_told_when_it_is_planned(
    site_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site_folder / "store"))
    needs = "needs: [gpu-aware-mpi, gpu-awaer-mpi, tape]\n    timeout_s: 60"
    edit(site_folder / "validation/suites/certify.yaml", "timeout_s: 60", needs)
    with (site_folder / "systems/summit-like.yaml").open("a") as file:
        file.write(
            "capabilities:\n"
            "  - {name: gpu-aware-mpi, why: It sends., source: 'https://example.org/mpi'}\n"
        )

    where = "validation/suites/certify.yaml:8:"
    assert unmet(Site(site_folder), LAPTOP) == [
        f"{where}13: identity needs gpu-aware-mpi, which laptop lacks: UNAVAILABLE",
        f"{where}28: identity needs gpu-awaer-mpi, which laptop lacks: UNAVAILABLE"
        " (did you mean 'gpu-aware-mpi'?)",
        f"{where}43: identity needs tape, which laptop lacks: UNAVAILABLE; no system has it",
    ]
    assert len(unmet(Site(site_folder), BIG)) == 2
    assert main(["plan", str(LAPTOP)]) == ExitCode.OK
    assert f"  warning: {where}13: identity needs gpu-aware-mpi" in capsys.readouterr().out


def test_a_suite_that_asks_less_than_the_least_is_told_at_the_stack(site_folder: Path) -> None:
    suites = site_folder / "validation/suites"
    text = (suites / "certify.yaml").read_text()
    (suites / "least.yaml").write_text(
        text.replace("name: certify", "name: least").replace("timeout_s: 60", "timeout_s: 61")
    )
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write("minimum_suite: least\n")

    (error,) = misfits(Site(site_folder), LAPTOP)
    assert str(error) == (
        "stacks/demo.yaml:52:8: suite 'certify' asks less than 'least', which laptop asks of every"
        " stack: it lacks or alters identity"
    )
    assert error.hint == "write 'includes: [least]' in it in place of these, or name another suite"
    assert misfits(Site(site_folder), BIG) == []


@pytest.mark.parametrize(
    ("kind", "least_of_tools", "fits"),
    [("tools", True, True), ("tools", False, False), ("framework", True, False)],
)
def test_a_stack_of_tools_has_a_least_suite_of_its_own_where_the_system_says_so(
    site_folder: Path, kind: str, least_of_tools: bool, fits: bool
) -> None:
    suites = site_folder / "validation/suites"
    text = (suites / "certify.yaml").read_text()
    (suites / "tools.yaml").write_text(text.replace("name: certify", "name: tools"))
    (suites / "least.yaml").write_text(
        text.replace("name: certify", "name: least").replace("timeout_s: 60", "timeout_s: 61")
    )
    edit(site_folder / "stacks/demo.yaml", "name: demo\n", f"name: demo\nkind: {kind}\n")
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write("minimum_suite: least\n")
        if least_of_tools:
            file.write("minimum_suite_of_tools: tools\n")

    assert (misfits(Site(site_folder), LAPTOP) == []) is fits


@pytest.mark.parametrize(
    "framework",
    [
        *("torch==2.13.0+cpu", "horovod==0.28.1", "tf-nightly-cpu==2.22.0", "mxnet-cu112==1.9.1"),
        *("paddlepaddle==3.0", "intel-tensorflow==2.15", "caffe==1.0", "onnxruntime-gpu==1.20"),
    ],
)
def test_a_framework_is_not_taken_past_its_least_suite_as_a_tool(
    site_folder: Path, framework: str
) -> None:
    demo = site_folder / "stacks/demo.yaml"
    edit(demo, "name: demo\n", "name: demo\nkind: tools\n")
    edit(demo, "[numpy==2.2.0]", f"[numpy==2.2.0, {framework}]")
    edit(demo, '["numpy>=2.2", h5py]', f'["numpy>=2.2", {framework}]')

    (error,) = misfits(Site(site_folder), LAPTOP)

    assert str(error).startswith("stacks/demo.yaml:2:")
    assert f"holds {framework.partition('=')[0]}: its stack is not of the kind 'tools'" in str(
        error
    )


def test_what_another_stack_has_as_its_framework_is_one(site_folder: Path) -> None:
    demo = site_folder / "stacks/demo.yaml"
    other = demo.read_text().replace("name: demo\n", "name: other\n")
    edit(demo, "name: demo\n", "name: demo\nkind: tools\n")
    assert told(site_folder) == []

    (site_folder / "stacks/other.yaml").write_text(other)

    (error,) = misfits(Site(site_folder), LAPTOP)
    assert "holds demo-framework: its stack is not of the kind 'tools'" in str(error)


@pytest.mark.parametrize("name", ["py-tf-nightly", "Py_Torch", "py-paddle", "mxnet", "tf_keras"])
def test_a_framework_is_known_by_its_family_however_it_is_written(name: str) -> None:
    assert is_framework(name, ())


@pytest.mark.parametrize("name", ["ninja", "bzip2", "fftw", "numactl", "py-numpy", "caffeine"])
def test_a_tool_is_no_framework(name: str) -> None:
    assert not is_framework(name, ())


def test_a_least_suite_of_tools_that_is_not_there_is_told(site_folder: Path) -> None:
    with (site_folder / "systems/laptop.yaml").open("a") as file:
        file.write("minimum_suite_of_tools: tolls\n")

    with pytest.raises(ManyErrors, match=r"minimum_suite_of_tools|tolls"):
        misfits(Site(site_folder), LAPTOP)


def test_another_python_than_the_base_names_is_told_at_the_stack(site_folder: Path) -> None:
    edit(site_folder / "systems/laptop.yaml", "[ca-certificates]", "[python3.11]")
    edit(site_folder / "stacks/demo.yaml", 'python: "3.11"', 'python: "3.12"')

    (error,) = misfits(Site(site_folder), LAPTOP)

    assert str(error) == (
        "stacks/demo.yaml:4:9: demo/2.10-cpu@laptop wants Python 3.12,"
        " but the base bookworm has Python 3.11"
    )
    assert error.hint == (
        'in the stack file say python: "3.11", or name python3.12 among the base\'s packages in the'
        " system file"
    )


def test_the_python_of_one_version_has_its_own_place(site_folder: Path) -> None:
    edit(site_folder / "systems/laptop.yaml", "[ca-certificates]", "[python3.11]")
    edit(
        site_folder / "stacks/demo.yaml", "    status: ga\n", '    status: ga\n    python: "3.12"\n'
    )

    (error,) = misfits(Site(site_folder), LAPTOP)

    assert str(error).startswith("stacks/demo.yaml:15:13: demo/2.10-cpu@laptop wants Python 3.12")


def test_a_base_that_names_no_python_is_known_by_its_lock_only(site_folder: Path) -> None:
    edit(site_folder / "stacks/demo.yaml", 'python: "3.11"', 'python: "3.12"')

    assert told(site_folder) == []


@pytest.mark.parametrize("packages", ["[ca-certificates]", "[pyton3.11]"])
def test_a_base_that_names_no_python_is_warned_of_in_its_place(
    packages: str, site_folder: Path
) -> None:
    edit(site_folder / "systems/laptop.yaml", "[ca-certificates]", packages)

    assert doubts(Site(site_folder), LAPTOP) == [
        "systems/laptop.yaml:7:35: the base names no Python: name python3.11 among its packages,"
        " unless one of them brings it"
    ]


@pytest.mark.parametrize(
    "base",
    [
        "suite: bookworm, packages: [python3-minimal]",
        f"image: registry.example.org/a@sha256:{'9' * 64}",
    ],
)
def test_a_base_that_may_have_a_python_is_not(base: str, site_folder: Path) -> None:
    edit(site_folder / "systems/laptop.yaml", "suite: bookworm, packages: [ca-certificates]", base)

    assert doubts(Site(site_folder), LAPTOP) == []


@pytest.mark.parametrize("command", ["plan", "lock"])
def test_plan_and_lock_say_so(
    command: str,
    site_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site_folder.parent / "store"))
    monkeypatch.setattr("stackwright.locking.solve.solve", _refuse)

    main([command, str(LAPTOP)])

    shown = capsys.readouterr()
    assert "warning: systems/laptop.yaml:7:35: the base names no Python" in shown.out + shown.err


def _refuse(*_args: object, **_settings: object) -> None:
    raise StackwrightError("not solved")


def test_the_mistakes_of_several_labels_are_told_once(site_folder: Path) -> None:
    suite = site_folder / "validation/suites/certify.yaml"
    suite.write_text("name: certify\nincludes: [no suite]\n")

    with pytest.raises(ManyErrors) as caught:
        check_fit(Site(site_folder), [LAPTOP, BIG])

    assert len(caught.value.errors) == 2


def test_plan_refuses_what_does_not_fit_and_plans_the_rest(
    site_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACKWRIGHT_STORE", str(site_folder.parent / "store"))
    edit(site_folder / "systems/laptop.yaml", "[ca-certificates]", "[python3.12]")

    code = main(["plan", "demo/2.10-cpu@*"])

    out, err = capsys.readouterr()
    assert code == ExitCode.USAGE
    assert [line.split()[0] for line in out.splitlines() if "@" in line.split()[0]] == [str(BIG)]
    assert f"{LAPTOP} wants Python 3.11, but the base bookworm has Python 3.12" in err


@pytest.mark.parametrize("command", ["lock", "build"])
def test_lock_and_build_refuse_it_before_they_begin(
    command: str,
    site_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = site_folder.parent / "store"
    monkeypatch.setenv("STACKWRIGHT_STORE", str(store))
    (site_folder / "validation/suites/certify.yaml").write_text("name: certify\n")

    code = main([command, str(LAPTOP)])

    assert code == ExitCode.USAGE
    assert "certify.yaml:1:1: missing key 'summary'" in capsys.readouterr().err
    assert not store.exists()


def gpu_suite(site_folder: Path) -> None:
    """A suite that needs a GPU, for the variant that is made for them."""
    suites = site_folder / "validation/suites"
    text = (suites / "certify.yaml").read_text().replace("name: certify", "name: certify-gpu")
    (suites / "certify-gpu.yaml").write_text(
        text.replace("timeout_s: 60", "needs: [gpu]\n    timeout_s: 60")
    )
    edit(
        site_folder / "stacks/demo.yaml",
        "    gpu: nvidia\n",
        "    gpu: nvidia\n    suite: certify-gpu\n",
    )


def test_a_variant_for_gpus_is_not_certified_by_a_suite_that_needs_none(site_folder: Path) -> None:
    site = Site(site_folder)
    said = (
        "stacks/demo.yaml:52:8: no case of suite 'certify' needs a GPU,"
        " and demo/2.10-cuda@summit-like is made for them"
    )

    assert unmet(site, GPUS) == [said]
    with pytest.raises(ManyErrors) as caught:
        release_suite(site, GPUS)
    assert str(caught.value) == said
    assert (release_suite(site, BIG), unmet(site, BIG)) == ("certify", [])


def test_a_variant_may_have_a_suite_of_its_own(site_folder: Path) -> None:
    gpu_suite(site_folder)
    site = Site(site_folder)

    assert (release_suite(site, GPUS), unmet(site, GPUS)) == ("certify-gpu", [])
    assert required_suite(site, BIG) == "certify"


def test_a_mistake_in_the_name_of_a_variants_suite_is_told_there(site_folder: Path) -> None:
    gpu_suite(site_folder)
    edit(site_folder / "stacks/demo.yaml", "suite: certify-gpu", "suite: certify-gpus")

    with pytest.raises(ManyErrors) as caught:
        Site(site_folder).stack("demo")
    assert str(caught.value) == (
        "stacks/demo.yaml:38:12: the site has no suite 'certify-gpus' (did you mean 'certify-gpu'?)"
    )


def test_a_case_that_needs_a_gpu_is_unavailable_where_there_is_none(site_folder: Path) -> None:
    gpu_suite(site_folder)
    suite = load_suite(site_folder / "validation/suites/certify-gpu.yaml")
    site = Site(site_folder)

    lacking = {
        name: {case.lacks for case in expand(suite, {"VERSIONS": ""}, site.system(name).can)}
        for name in ("laptop", "summit-like")
    }

    assert lacking == {"laptop": {("gpu",)}, "summit-like": {()}}
