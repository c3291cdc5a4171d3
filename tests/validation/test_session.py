"""Which interrupted run is continued, and which one is not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from payload_runs import VALIDATION
from test_prepare import CHECKED, HEADING, arm, artefact

from stackwright.certify.artefact import Artefact
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.store import Store
from stackwright.tools.process import Runner
from stackwright.validation.host import fingerprint
from stackwright.validation.prepare import Arm, make_job
from stackwright.validation.runs import JUDGEMENT, runs
from stackwright.validation.session import Session, check_files
from stackwright.validation.suites import Choice, Launch, payload_digest, suite_digest

BYTES = artefact("a")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    site, store = tmp_path / "site", Store(tmp_path / "store")
    shutil.copytree(VALIDATION, site / "validation")
    shutil.copytree(VALIDATION.parent / "systems", site / "systems")
    return Session(Site(site), store, Runner(store.log), lambda found: found.digests)


def replace_label(of: Artefact, label: str) -> Artefact:
    return of.model_copy(update={"label": label})


def begin(session: Session, job_id: str = HEADING.job_id) -> Path:
    """What `validate` leaves when it is interrupted at once."""
    validation = session.site.root / "validation"
    heading = replace(
        HEADING,
        job_id=job_id,
        suite_digest=suite_digest(session.site.suite_file("smoke")),
        payload_digest=payload_digest(validation),
        host=fingerprint(),
    )
    folder = session.store.root / "runs" / job_id
    folder.mkdir(parents=True)
    job = make_job(heading, (CHECKED,), arm("a"), None, Path("/payload"))
    (folder / "job.json").write_text(json.dumps(job))
    return folder


def edit_case(session: Session, _folder: Path) -> None:
    (session.site.root / "validation/cases/emit.py").write_text("pass\n")


def edit_suite(session: Session, _folder: Path) -> None:
    with session.site.suite_file("smoke").open("a") as suite:
        suite.write("# more\n")


def judge(_session: Session, folder: Path) -> None:
    (folder / JUDGEMENT).write_text("{}")


def edit_host(_session: Session, folder: Path) -> None:
    job = json.loads((folder / "job.json").read_bytes())
    job["host"]["cores"] += 1
    (folder / "job.json").write_text(json.dumps(job))


def edit_capabilities(session: Session, folder: Path) -> None:
    """The run was begun when the system lacked what a case needs."""
    job = json.loads((folder / "job.json").read_bytes())
    job["cases"][0]["lacks"] = ["gpu-aware-mpi"]
    (folder / "job.json").write_text(json.dumps(job))


def test_the_newest_run_is_continued(session: Session) -> None:
    begin(session, "20261119T194000Z-1f2e3d4c")
    newest = begin(session)

    assert session.unfinished(BYTES, "smoke") == newest


def test_a_run_that_fits_is_found_behind_newer_ones_that_do_not(session: Session) -> None:
    fitting = begin(session, "20261119T194000Z-1f2e3d4c")
    newer = begin(session)
    edit_host(session, newer)
    judge(session, newer)

    assert session.unfinished(BYTES, "smoke") == fitting


def test_who_measured_again_does_not_get_back_to_what_he_gave_up(session: Session) -> None:
    """Else a run that goes badly could be kept until those after it have shown how it would end."""
    begin(session, "20261119T194000Z-1f2e3d4c")
    judge(session, begin(session))

    assert session.unfinished(BYTES, "smoke") is None


def test_a_second_validation_is_refused_at_once(session: Session) -> None:
    with (
        session.alone(),
        pytest.raises(StackwrightError, match="another validation runs on this machine") as found,
        session.alone(),
    ):
        pytest.fail("both run")
    assert found.value.code == ExitCode.USAGE
    assert str(session.store.root / "runs") in str(found.value.hint)

    with session.alone():  # the first has ended
        pass


def test_a_part_of_a_suite_goes_on_with_no_run_of_all_of_it(session: Session) -> None:
    whole = begin(session, "20261119T194000Z-1f2e3d4c")
    assert session.unfinished(BYTES, "smoke", ("imports",)) is None

    part = begin(session)
    job = json.loads((part / "job.json").read_bytes())
    chosen = Choice(session.site.suite_file("smoke"), ("imports",))
    job["suite"] = {"name": chosen.name, "digest": chosen.digest()}
    (part / "job.json").write_text(json.dumps(job))

    assert session.unfinished(BYTES, "smoke", ("imports",)) == part
    assert session.unfinished(BYTES, "smoke", ("threads",)) is None
    assert session.unfinished(BYTES, "smoke") == whole


def test_a_part_of_a_suite_is_a_job_of_another_one(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = {
        "_checked_host": lambda *_: fingerprint(),
        "_runtime": lambda *_: "podman",
        "_baseline": lambda *_: None,
        "_compile_probe": lambda *_: None,
        "_arm": lambda *_: both_channels(),
    }
    for name, value in replaced.items():
        monkeypatch.setattr(Session, name, value)
    plan: Any = SimpleNamespace(environment=(), label=BYTES.label)

    folder = session.start(plan, "numpy=2.0", BYTES, "smoke", ("imports", "identity.none-1.image"))

    job = json.loads((folder / "job.json").read_bytes())
    assert job["suite"]["name"] == "part of smoke"
    assert job["suite"]["digest"] != suite_digest(session.site.suite_file("smoke"))
    assert [case["id"] for case in job["cases"]] == [
        "imports.none-1.image",
        "imports.none-1.module",
        "identity.none-1.image",
    ]


def both_channels() -> Arm:
    module = arm("a").channels["module"]
    return Arm(BYTES, {"image": module, "module": module})


@pytest.mark.parametrize("change", [edit_case, edit_suite, judge, edit_host, edit_capabilities])
def test_a_run_that_would_measure_something_else_is_not(
    session: Session, change: Callable[[Session, Path], Any]
) -> None:
    change(session, begin(session))

    assert session.unfinished(BYTES, "smoke") is None


def test_nor_a_run_of_other_bytes_or_by_another_suite(session: Session) -> None:
    begin(session)

    assert session.unfinished(artefact("b"), "smoke") is None
    assert session.unfinished(BYTES, "certify") is None


def test_a_copy_under_another_name_is_no_run(session: Session) -> None:
    folder = begin(session)
    shutil.copytree(folder, folder.with_name("20270101T000000Z-00000000"))

    assert [run.folder for run in runs(session.store)] == [folder]


def test_only_runs_of_the_label_are_resumed(session: Session, tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match=r"is not the folder of a run: it has no job\.json"):
        session.resume(tmp_path, parse(BYTES.label))
    with pytest.raises(StackwrightError, match=r"is a run of pytorch/2\.13\.0-cpu@local, not of"):
        session.resume(begin(session), parse("pytorch/2.12.0-cpu@local"))


def test_a_run_is_not_continued_on_another_machine(session: Session) -> None:
    folder = begin(session)
    edit_host(session, folder)
    with pytest.raises(StackwrightError, match="was begun on another machine or nodes"):
        session.resume(folder, parse(BYTES.label))


def test_a_run_of_one_machine_is_not_continued_over_nodes(session: Session) -> None:
    begin(session)
    over_nodes = replace(session, nodes=("nid0001", "nid0002"))
    facts = {name: fingerprint() for name in over_nodes.nodes}
    vars(over_nodes)["_fingerprints"] = facts  # as srun would give them

    assert over_nodes.unfinished(BYTES, "smoke") is None


def test_over_nodes_no_container_engine_is_chosen(session: Session) -> None:
    path = session.site.root / "systems/local.yaml"
    text = path.read_text()
    over_nodes = replace(session, nodes=("nid0001", "nid0002"))

    path.write_text(re.sub(r"runtimes: .*", "runtimes: [podman, docker]", text))
    with pytest.raises(StackwrightError, match="srun can't start podman or docker"):
        over_nodes._runtime("local")


GLOO = Launch(launcher="horovodrun-gloo", ranks=2, threads=1)


def test_a_launcher_that_srun_can_not_stand_for_is_said_with_its_case(session: Session) -> None:
    case = replace(CHECKED, launch=GLOO)
    over_nodes = replace(session, nodes=("nid0001", "nid0002"))

    session._check_plugins([case], [arm("a")])  # on this machine horovodrun starts them itself
    with pytest.raises(
        StackwrightError, match=f"case '{case.id}' can't be launched over nodes"
    ) as e:
        over_nodes._check_plugins([case], [arm("a")])
    assert "without --launcher" in str(e.value.hint)


def set_runtime(folder: Path, name: str | None) -> None:
    job = json.loads((folder / "job.json").read_bytes()) | {"runtime": name}
    (folder / "job.json").write_text(json.dumps(job))


def test_a_run_under_another_run_time_is_not_continued(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users get the system's first: to interrupt another one must not bring it in."""
    run = begin(session)
    set_runtime(run, "charliecloud")
    monkeypatch.setattr("stackwright.tools.engines.probe", lambda *_: "works")

    assert session.unfinished(BYTES, "smoke") is None
    assert replace(session, runtime="docker").unfinished(BYTES, "smoke") is None
    assert replace(session, runtime="charliecloud").unfinished(BYTES, "smoke") == run

    set_runtime(run, "podman")
    assert session.unfinished(BYTES, "smoke") == run
    assert replace(session, runtime="charliecloud").unfinished(BYTES, "smoke") is None


def test_the_first_run_time_that_works_is_that_of_the_next_run(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(name: str, *_: object) -> None:
        if name == "podman":
            raise StackwrightError("podman is broken here")

    monkeypatch.setattr("stackwright.tools.engines.probe", probe)
    run = begin(session)
    set_runtime(run, "docker")

    assert session.unfinished(BYTES, "smoke") == run

    set_runtime(run, "podman")
    assert session.unfinished(BYTES, "smoke") is None


def test_a_suite_without_images_has_no_run_time_to_compare(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackwright.tools.engines.probe", lambda *_: pytest.fail("asked"))
    run = begin(session)

    assert json.loads((run / "job.json").read_bytes())["runtime"] is None
    assert session.unfinished(BYTES, "smoke") == run


def test_nothing_is_measured_for_a_system_that_this_machine_is_not(session: Session) -> None:
    """Before anything is hashed: whoever wants to know waits for nothing."""
    local = session.site.root / "systems" / "local.yaml"
    text = local.read_text().replace("x86_64_v3", "zen4").replace("cores: 2", "cores: 4096")
    local.with_name("far.yaml").write_text(text.replace("name: local", "name: far"))
    far = replace_label(artefact("a"), "pytorch/2.13.0-cpu@far")
    unhashed = replace(session, measure=lambda _: pytest.fail("something was hashed"))
    plan: Any = None
    with pytest.raises(StackwrightError, match=r"this machine is not system 'far' .*cores: .*4096"):
        unhashed.start(plan, plan, far, "smoke")

    run = begin(session)
    job = json.loads((run / "job.json").read_bytes()) | {"label": far.label}
    (run / "job.json").write_text(json.dumps(job))
    with pytest.raises(StackwrightError, match="this machine is not system 'far'"):
        unhashed.resume(run, parse(far.label))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("script: imports", "script: import", "unknown script 'import'"),
        ("@VERSIONS@", "@VERSION@", "nothing fills '@VERSION@'"),
    ],
)
def test_a_mistake_in_the_suite_is_told_before_anything_is_hashed(
    session: Session, old: str, new: str, said: str
) -> None:
    suite = session.site.suite_file("smoke")
    suite.write_text(suite.read_text().replace(old, new))
    unhashed = replace(session, measure=lambda _: pytest.fail("something was hashed"))
    plan: Any = None

    with pytest.raises(StackwrightError, match=said):
        unhashed.start(plan, plan, BYTES, "smoke")


def test_compiled_python_beside_the_cases_is_refused(session: Session) -> None:
    """Python would run it in the case's place, and no digest covers it."""
    folder = begin(session)
    planted = folder / "payload/cases/__pycache__/emit.cpython-311.pyc"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"")

    with pytest.raises(StackwrightError, match="compiled Python among the run's cases"):
        check_files(folder, (folder / "job.json").read_bytes())


def test_bytes_that_were_replaced_meanwhile_are_not_measured_on(session: Session) -> None:
    folder = begin(session)
    with pytest.raises(StackwrightError, match="the candidate is not what it was"):
        session.resume(folder, parse(BYTES.label))
