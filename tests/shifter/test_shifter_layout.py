"""The files from which Shifter runs an image.

The golden file is what writemeta of NERSC/shifter 22.02 made of this configuration, and what its
own parser read as it was meant.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_samples import build
from shifter_samples import CLEAN, CONFIG, make_layout

from stackwright.certify.artefact import Artefact
from stackwright.errors import ExitCode, StackwrightError
from stackwright.shifter.contents import Config
from stackwright.shifter.layout import render_meta, write_layout
from stackwright.store import Store

GOLDEN = Path(__file__).parent / "golden"
ALL = Config(
    env=("PATH=/opt/s/bin:/bin", "A=b=c: d", 'Q=it\'s "q" \\ x'),
    entrypoint=("/bin/sh", "-c", 'echo "x" [y], z'),
    cmd=("a b", "", "ü"),
    workdir="/data dir",
)


def read(meta: bytes) -> Config:
    """What Shifter reads from a `.meta`: shifter_parseConfig and split_json_array, in Python."""
    env, lists, workdir, key, before = [], {}, "", "", ""
    for line in meta.decode().split("\n"):
        if not before:
            key, colon, line = line.partition(":")  # noqa: PLW2901
            if not colon:
                continue
        value = line.strip(" \t\v\f\r")
        if value.endswith("\\"):
            before += value[:-1]
            continue
        value, before = before + value, ""
        if key == "ENV":
            env.append(value)
        elif key == "WORKDIR":
            workdir = value
        else:
            lists[key] = tuple(value.split("'")[1::2])
    return Config(tuple(env), lists.get("ENTRY", ()), lists.get("CMD", ()), workdir)


def test_as_the_gateway_writes_it() -> None:
    assert render_meta(ALL) == (GOLDEN / "all.meta").read_bytes()
    assert render_meta(Config()) == b"FORMAT: squashfs\n"
    assert read(render_meta(ALL)) == ALL


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (Config(env=("A=",)), "ENV A: a variable without a value"),
        (Config(env=("A= \t",)), "ENV A: a variable without a value"),
        (Config(env=("A",)), "ENV A: a variable without a value"),
        (Config(env=("A=x\nUSERACL: 1",)), "ENV A: it ends at the newline"),
        (Config(env=("A=x\\", "B=y")), "ENV A: the backslash at its end"),
        (Config(env=("A=x\r",)), "ENV A: the spaces at its ends"),
        (Config(workdir="/x\\"), "WORKDIR: the backslash at its end"),
        (Config(workdir="/x "), "WORKDIR: the spaces at its ends"),
        (Config(cmd=("it's",)), "CMD: the apostrophe"),
        (Config(entrypoint=("a", "a'b'c")), "ENTRYPOINT: the apostrophe"),
        (Config(cmd=("a\\b",)), "CMD: .* with a backslash more"),
        (Config(cmd=("a\nb",)), "CMD: .* with a backslash more"),
    ],
)
def test_what_it_cannot_carry_is_refused(config: Config, why: str) -> None:
    with pytest.raises(StackwrightError, match=why) as refused:
        render_meta(config)
    assert refused.value.code == ExitCode.FAIL


WORD = st.text("ab '\"\\\n\t=:[],#é", max_size=5)


@given(st.lists(WORD, max_size=3), st.lists(WORD, max_size=2), st.lists(WORD, max_size=2), WORD)
def test_what_is_not_refused_is_read_as_it_is(
    values: list[str], entrypoint: list[str], cmd: list[str], workdir: str
) -> None:
    env = tuple(f"V{number}={value}" for number, value in enumerate(values))
    config = Config(env, tuple(entrypoint), tuple(cmd), workdir)
    try:
        meta = render_meta(config)
    except StackwrightError:
        return
    assert read(meta) == config


def built(store: Store, text: str = "torch") -> Artefact:
    artefact = build(store, "pytorch/2.13.0-cpu@local", text)
    config = {**CONFIG, "Labels": {"made": text}}
    layout = store.path(f"steps/image/{text}/oci")
    digest, described = make_layout(layout, CLEAN, config=config)
    image = {"digest": digest, "config": described, "oci": store.relative(layout)}
    return artefact.model_copy(update={"image": artefact.image.model_copy(update=image)})


def test_a_build_leaves_both_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    artefact = built(store)
    name = artefact.image.digest.removeprefix("sha256:")

    squashfs, meta = write_layout(store, artefact)

    assert (squashfs.name, meta.name) == (f"{name}.squashfs", f"{name}.meta")
    assert squashfs.read_bytes() == store.path(artefact.squashfs.path).read_bytes()
    assert read(meta.read_bytes()).variables["PYTHONNOUSERSITE"] == "1"
    before = meta.read_bytes()
    assert write_layout(store, artefact) == (squashfs, meta)
    assert meta.read_bytes() == before
    assert len([*store.path("shifter").iterdir()]) == 2


def test_the_store_may_be_moved(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    squashfs, _ = write_layout(store, built(store))

    store.root.rename(tmp_path / "elsewhere")

    assert (tmp_path / "elsewhere/shifter" / squashfs.name).read_bytes().startswith(b"hsqs")
