"""The safe part of YAML: what is read, and what no file can do."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from stackwright.errors import ManyErrors
from stackwright.inputs.yamlfile import load, load_document
from stackwright.inputs.yamltree import MAX_BYTES, MAX_DEPTH


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    text: str = ""
    number: float = 0
    flag: bool = False
    day: date | None = None
    items: tuple[str, ...] = ()
    sizes: dict[Literal["small", "large"], int] = {}
    deep: object = None


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "thing.yaml"


def errors_of(file: Path) -> str:
    with pytest.raises(ManyErrors) as caught:
        load(file, Thing)
    return str(caught.value)


def test_a_file_becomes_a_strict_model(file: Path) -> None:
    file.write_text("text: '2.10'\nnumber: 1\nflag: true\nday: 2027-01-31\nitems: [a, b]\n")

    thing = load(file, Thing)

    assert thing == Thing(
        text="2.10", number=1.0, flag=True, day=date(2027, 1, 31), items=("a", "b")
    )


def test_the_place_of_a_value_is_kept_for_later_checks(file: Path) -> None:
    file.write_text("text: a\nitems:\n  - a\n  - b\n")

    document = load_document(file, Thing)

    assert str(document.error("bad", "items", 1)) == "thing.yaml:4:5: bad"
    assert str(document.where("flag")) == "thing.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text: 2.10", "thing.yaml:1:7: 'text' must be text; write '2.10' in quotes"),
        ("text: 010", "thing.yaml:1:7: 010 is not a plain decimal number; write '010' in quotes"),
        (
            "text: 1:30",
            "thing.yaml:1:7: 1:30 is not a plain decimal number; write '1:30' in quotes",
        ),
        (
            "number: .inf",
            "thing.yaml:1:9: .inf is not a plain decimal number; write '.inf' in quotes",
        ),
        (
            "text: off",
            "thing.yaml:1:7: off would be read as false; write false, or 'off' in quotes",
        ),
        ("text: true", "thing.yaml:1:7: 'text' must be text; write 'true' in quotes"),
        ("2.10: a", "thing.yaml:1:1: a key must be text; write '2.10' in quotes"),
        ("on: a", "thing.yaml:1:1: a key must be text; write 'on' in quotes"),
        ("? [a]\n: b", "thing.yaml:1:3: a key must be text"),
        ("text: a\ntext: b", "thing.yaml:2:1: duplicate key 'text' (first at thing.yaml:1:1)"),
        (
            "<<: {text: a}",
            "thing.yaml:1:1: merge keys ('<<') are not supported; write the entries out",
        ),
        ("text: a\n---\ntext: b", "thing.yaml:2:1: a file holds one document; remove the '---'"),
        ('text: "\\0"', "thing.yaml:1:7: a control character is not allowed here"),
        ("[a]", "thing.yaml:1:1: 'the file' must be a mapping"),
        (
            "items:\n\t- a",
            "thing.yaml:2:1: not valid YAML: a tab can't indent; use spaces",
        ),
        (
            "sizes: {smal: 1}",
            "thing.yaml:1:9: 'smal' is not a legal 'key of sizes' (did you mean 'small'?)",
        ),
    ],
)
def test_nothing_is_read_as_something_else(file: Path, text: str, expected: str) -> None:
    file.write_text(text)

    assert expected in errors_of(file).splitlines()


def test_a_file_over_the_size_limit_is_not_parsed(file: Path) -> None:
    file.write_text("text: " + "a" * MAX_BYTES)

    assert errors_of(file) == f"thing.yaml: larger than {MAX_BYTES} bytes"


def test_a_missing_file_and_bytes_that_are_not_text_are_plain_errors(file: Path) -> None:
    assert errors_of(file) == "thing.yaml: can't be read: No such file or directory"

    file.write_bytes(b"text: a\nitems: [\xff]\n")
    assert errors_of(file) == "thing.yaml:2: not valid UTF-8"


@given(depth=st.integers(1, 3000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_depth_has_a_limit_and_no_recursion_error(file: Path, depth: int) -> None:
    file.write_text("deep: " + "[" * depth + "]" * depth)

    if depth < MAX_DEPTH:
        load(file, Thing)
    else:
        assert "nested more than" in errors_of(file) or "not valid YAML" in errors_of(file)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_give_a_model_or_placed_errors(file: Path, data: bytes) -> None:
    file.write_bytes(data)

    try:
        found = load(file, Thing)
    except ManyErrors as caught:
        found = caught

    assert isinstance(found, Thing) or {str(e.where.file) for e in found.errors} == {"thing.yaml"}


plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))


@given(st.dictionaries(st.sampled_from(["text"]), plain), st.lists(plain))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_text_survives_the_round_trip(file: Path, fields: dict[str, str], items: list[str]) -> None:
    file.write_text(
        yaml.safe_dump({**fields, "items": items}, allow_unicode=True, default_style='"')
    )

    thing = load(file, Thing)

    assert (thing.text, thing.items) == (fields.get("text", ""), tuple(items))
