"""Labels: a grammar that reads back what it writes, and patterns that never guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import NAME, VARIANT, VERSION, Label, parse, pick, select

labels = st.builds(
    Label,
    st.from_regex(NAME, fullmatch=True),
    st.from_regex(VERSION, fullmatch=True),
    st.from_regex(VARIANT, fullmatch=True),
    st.from_regex(NAME, fullmatch=True),
)

KNOWN = [
    parse(text)
    for text in (
        "pytorch/2.13.0-cpu@local",
        "pytorch/2.13.0-cpu@perlmutter-gpu",
        "pytorch/2.13.0-cuda@perlmutter-gpu",
        "pytorch/2.14.0-rc1-cpu@local",
        "jax/0.10.2-cpu@local",
    )
]


@given(labels)
def test_a_label_reads_back_as_itself(label: Label) -> None:
    assert parse(str(label)) == label


@given(labels)
def test_a_complete_label_selects_itself_alone(label: Label) -> None:
    assert select(str(label), {label, *KNOWN}) == (label,)


@given(st.text(max_size=40))
def test_whatever_parses_is_written_the_same_way(text: str) -> None:
    try:
        label = parse(text)
    except StackwrightError:
        return
    assert str(label) == text


def test_the_variant_is_what_follows_the_last_dash() -> None:
    label = parse("pytorch/2.14.0-rc1-cpu@perlmutter-gpu")

    assert (label.version, label.variant, label.system) == ("2.14.0-rc1", "cpu", "perlmutter-gpu")
    assert label.module == "pytorch/2.14.0-rc1-cpu"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pytorch",
        "pytorch/2.13.0@local",
        "a/1-cpu@b@c",
        "a/1-c/../x@l",
        "a/1-cpu@b\n",
        "A/1-c@l",
    ],
)
def test_anything_else_is_not_a_label(text: str) -> None:
    with pytest.raises(StackwrightError, match="is not a label"):
        parse(text)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("jax", ["jax/0.10.2-cpu@local"]),
        ("jax/*@*", ["jax/0.10.2-cpu@local"]),
        ("pytorch/2.14*", ["pytorch/2.14.0-rc1-cpu@local"]),
        ("pytorch/2.13.0@local", ["pytorch/2.13.0-cpu@local"]),
        ("pytorch/*-cuda", ["pytorch/2.13.0-cuda@perlmutter-gpu"]),
        ("p*/2.13.0-cpu@*", ["pytorch/2.13.0-cpu@local", "pytorch/2.13.0-cpu@perlmutter-gpu"]),
        ("*@local", [str(label) for label in sorted(KNOWN) if label.system == "local"]),
    ],
)
def test_patterns(pattern: str, expected: list[str]) -> None:
    assert [str(label) for label in select(pattern, KNOWN)] == expected


def test_a_system_left_out_is_never_guessed() -> None:
    with pytest.raises(StackwrightError) as caught:
        select("pytorch/2.13.0-cpu", KNOWN)

    assert (
        caught.value.what == "'pytorch/2.13.0-cpu' doesn't say which system: local, perlmutter-gpu"
    )
    assert caught.value.hint == (
        "name one: 'pytorch/2.13.0-cpu@local', or once for all: export STACKWRIGHT_SYSTEM=NAME;"
        " `list` and `plan` take 'pytorch/2.13.0-cpu@*', too"
    )


def test_one_label_is_wanted_and_several_match() -> None:
    with pytest.raises(StackwrightError) as caught:
        pick("pytorch@local", KNOWN)

    assert caught.value.what == "'pytorch@local' is ambiguous"
    assert caught.value.hint == (
        "choose one of: pytorch/2.13.0-cpu@local, pytorch/2.14.0-rc1-cpu@local"
    )


def test_several_labels_mean_the_usual_variant_of_their_stack() -> None:
    usual = {"pytorch": "cpu"}
    chosen = [label for label in KNOWN if label.stack == "pytorch" and label.system == "local"]
    known = [label for label in chosen if label.variant == "cpu"][:1]
    others = [Label(known[0].stack, known[0].version, "spack", known[0].system)]

    assert pick("pytorch@local", {*known, *others}, defaults=usual) == known[0]
    assert pick(str(others[0]), {*known, *others}, defaults=usual) == others[0]
    with pytest.raises(StackwrightError, match="is ambiguous"):
        pick("pytorch@local", {*known, *others}, defaults={"pytorch": "cuda"})


def test_an_unknown_label_suggests_and_lists() -> None:
    with pytest.raises(StackwrightError) as caught:
        select("pytroch/2.13.0-cpu@local", KNOWN)

    assert "did you mean 'pytorch/2.13.0-cpu@local'?" in caught.value.what
    assert caught.value.hint is not None
    assert "jax/0.10.2-cpu@local" in caught.value.hint


@pytest.mark.parametrize(
    ("pattern", "what", "hint"),
    [
        (
            "pytorch/9.9-cpu@local",
            "pytorch has no version '9.9-cpu'",
            "it has: 2.13.0-cpu, 2.13.0-cuda, 2.14.0-rc1-cpu",
        ),
        (
            "jax/0.10.1",
            "jax has no version '0.10.1' (did you mean '0.10.2'?)",
            "it has: 0.10.2-cpu",
        ),
        (
            "jax/0.10.2@locl",
            "no system 'locl' (did you mean 'local'?) has jax",
            "there is: jax/0.10.2-cpu@local",
        ),
        (
            "jax@perlmutter-gpu",
            "no label matches 'jax@perlmutter-gpu'",
            f"there is: {', '.join(sorted(map(str, KNOWN)))}",
        ),
    ],
)
def test_the_part_that_is_wrong_is_named(pattern: str, what: str, hint: str) -> None:
    with pytest.raises(StackwrightError) as caught:
        select(pattern, KNOWN)

    assert caught.value.what.startswith(what)
    assert caught.value.hint == hint
