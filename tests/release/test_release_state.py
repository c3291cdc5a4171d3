"""The next generation, as a value: releases add, rollbacks undo, history only grows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from certificate_samples import digest
from hypothesis import given
from hypothesis import strategies as st

from stackwright.errors import StackwrightError
from stackwright.inputs import labels
from stackwright.release.state import (
    Content,
    Generation,
    Pointer,
    by_owner,
    default_after,
    next_release,
    next_rollback,
    restore_point,
)

CREATED = "2026-11-20T20:00:00Z"
HISTORY = tuple[Generation, ...]


def pointer(text: str) -> Pointer:
    parts = ("image", "squashfs", "prefix", "plan_hash", "certificate")
    return Pointer(**{part: digest(f"{text} {part}") for part in parts})


def release(
    history: HISTORY,
    module: str,
    text: str = "",
    *,
    make_default: bool | None = True,
    compared: str | None = None,
    kernel: str = "",
) -> HISTORY:
    label = labels.parse(f"{module}@local")
    current = history[-1] if history else None
    default = default_after(current, label, compared, make_default=make_default)
    files = {
        f"modules/{module}.lua": digest(module + text),
        f"modules/{label.stack}/.modulerc.lua": digest(default),
        f"jupyter/kernels/{kernel or module.replace('/', '-')}/kernel.json": digest("kernel"),
    }
    made = Content(files=files, links={f"images/{module}/oci": "steps/image/0/oci"})
    before = {k: c for k, c in (current.content if current else {}).items() if k != module}
    generation = next_release(
        current,
        label,
        pointer(module + text),
        {**before, **by_owner(module, made)},
        default=default,
        created=CREATED,
        who="root",
        why="",
    )
    return (*history, generation)


def rollback(history: HISTORY, stack: str) -> HISTORY:
    source = history[restore_point(history, stack) - 1]
    content = {
        **{k: v for k, v in history[-1].content.items() if k.split("/")[0] != stack},
        **{k: v for k, v in source.content.items() if k.split("/")[0] == stack},
    }
    undone = next_rollback(history, stack, content, created=CREATED, who="root", why="")
    return (*history, undone)


def view(generation: Generation, stack: str) -> tuple[object, ...]:
    """What users of one stack see."""

    def of_stack(values: object) -> dict[str, object]:
        return {k: v for k, v in dict(values).items() if k.split("/")[0] == stack}

    return tuple(map(of_stack, (generation.pointers, generation.defaults, generation.content)))


def test_the_first_release() -> None:
    (first,) = release((), "pytorch/2.12.0-cpu")
    assert (first.number, first.parent, first.action) == (1, None, "release")
    assert first.pointers == {"pytorch/2.12.0-cpu": pointer("pytorch/2.12.0-cpu")}
    assert first.defaults == {"pytorch": "2.12.0-cpu"}


def test_versions_and_stacks_live_side_by_side() -> None:
    history = release((), "pytorch/2.12.0-cpu")
    history = release(history, "tensorflow/2.20.0-cpu")
    history = release(history, "pytorch/2.13.0-cpu")
    last = history[-1]
    assert (last.number, last.parent) == (3, 2)
    assert set(last.pointers) == {
        "pytorch/2.12.0-cpu",
        "pytorch/2.13.0-cpu",
        "tensorflow/2.20.0-cpu",
    }
    assert last.defaults == {"pytorch": "2.13.0-cpu", "tensorflow": "2.20.0-cpu"}


def test_a_release_can_leave_the_default_alone() -> None:
    history = release((), "pytorch/2.12.0-cpu")
    history = release(history, "pytorch/2.13.0-cpu", make_default=False)
    assert history[-1].defaults == {"pytorch": "2.12.0-cpu"}


def test_the_first_version_is_the_default_in_any_case() -> None:
    (first,) = release((), "pytorch/2.12.0-cpu", make_default=False)
    assert first.defaults == {"pytorch": "2.12.0-cpu"}


def test_what_was_compared_with_nothing_does_not_become_the_default_by_itself() -> None:
    history = release((), "pytorch/2.12.0-cpu", make_default=None)
    history = release(history, "pytorch/2.13.0-cuda", make_default=None)
    assert history[-1].defaults == {"pytorch": "2.12.0-cpu"}


def test_what_was_compared_with_the_default_takes_its_place() -> None:
    history = release((), "pytorch/2.12.0-cpu", make_default=None)
    image = history[-1].pointers["pytorch/2.12.0-cpu"].image
    history = release(history, "pytorch/2.13.0-cpu", make_default=None, compared=image)
    assert history[-1].defaults == {"pytorch": "2.13.0-cpu"}


def test_what_was_compared_with_itself_does_not_take_the_defaults_place() -> None:
    history = release((), "pytorch/2.12.0-cpu", make_default=None)
    history = release(history, "pytorch/2.13.0-cuda", make_default=None)
    image = history[-1].pointers["pytorch/2.13.0-cuda"].image
    history = release(history, "pytorch/2.13.0-cuda", "again", make_default=None, compared=image)
    assert history[-1].defaults == {"pytorch": "2.12.0-cpu"}


def test_the_default_stays_the_default_when_it_is_released_again() -> None:
    history = release((), "pytorch/2.12.0-cpu", make_default=None)
    history = release(history, "pytorch/2.12.0-cpu", "again", make_default=None)
    assert history[-1].defaults == {"pytorch": "2.12.0-cpu"}


def test_a_release_again_replaces_the_pointer_and_the_files() -> None:
    history = release((), "pytorch/2.12.0-cpu", "first", kernel="old-name")
    history = release(history, "pytorch/2.12.0-cpu", "second", kernel="new-name")
    assert history[-1].pointers == {"pytorch/2.12.0-cpu": pointer("pytorch/2.12.0-cpusecond")}
    assert "jupyter/kernels/old-name/kernel.json" not in history[-1].files
    assert "jupyter/kernels/new-name/kernel.json" in history[-1].files


def test_a_rollback_restores_the_stack_and_leaves_others_alone() -> None:
    history = release((), "pytorch/2.12.0-cpu")
    history = release(history, "pytorch/2.13.0-cpu")
    history = release(history, "tensorflow/2.20.0-cpu")
    history = rollback(history, "pytorch")
    last = history[-1]
    assert (last.number, last.parent, last.action, last.restores) == (4, 3, "rollback", 1)
    assert last.label == "pytorch/2.12.0-cpu@local"
    assert view(last, "pytorch") == view(history[0], "pytorch")
    assert view(last, "tensorflow") == view(history[2], "tensorflow")


def test_two_rollbacks_go_back_two_releases() -> None:
    history: HISTORY = ()
    for text in ("first", "second", "third"):
        history = release(history, "pytorch/2.12.0-cpu", text)
    history = rollback(rollback(history, "pytorch"), "pytorch")
    assert [generation.restores for generation in history] == [None, None, None, 2, 1]
    assert view(history[-1], "pytorch") == view(history[0], "pytorch")


def test_a_rollback_after_a_new_release_undoes_that_release() -> None:
    history: HISTORY = ()
    for text in ("first", "second"):
        history = release(history, "pytorch/2.12.0-cpu", text)
    history = rollback(history, "pytorch")
    history = release(history, "pytorch/2.12.0-cpu", "third")
    history = rollback(history, "pytorch")
    assert view(history[-1], "pytorch") == view(history[0], "pytorch")


def test_a_release_of_what_users_have_is_no_step_back() -> None:
    history: HISTORY = ()
    for text in ("first", "second", "second"):
        history = release(history, "pytorch/2.12.0-cpu", text)
    assert restore_point(history, "pytorch") == 1
    history = rollback(history, "pytorch")
    assert view(history[-1], "pytorch") == view(history[0], "pytorch")


def test_there_is_nothing_before_the_first_release() -> None:
    history = release((), "pytorch/2.12.0-cpu")
    with pytest.raises(StackwrightError, match="pytorch has no earlier release to go back to"):
        rollback(history, "pytorch")
    with pytest.raises(StackwrightError, match="tensorflow was never released here"):
        rollback(history, "tensorflow")
    with pytest.raises(StackwrightError, match="pytorch was never released here"):
        rollback((), "pytorch")


def test_a_store_serves_one_system() -> None:
    history = release((), "pytorch/2.12.0-cpu")
    label = labels.parse("pytorch/2.12.0-cpu@perlmutter")
    with pytest.raises(StackwrightError, match="serves the system local, not perlmutter"):
        next_release(
            history[-1],
            label,
            pointer(""),
            {},
            default=label.release,
            created=CREATED,
            who="",
            why="",
        )


def test_two_labels_cannot_share_a_kernel() -> None:
    history = release((), "pytorch/2.12.0-cpu", kernel="deep-learning")
    with pytest.raises(StackwrightError, match=r"kernel.json belongs to pytorch/2.12.0-cpu"):
        release(history, "tensorflow/2.20.0-cpu", kernel="deep-learning")


def test_a_rollback_cannot_take_back_a_name_that_another_stack_has_now() -> None:
    history = release((), "pytorch/2.12.0-cpu", kernel="deep-learning")
    history = release(history, "pytorch/2.12.0-cpu", "again", kernel="pytorch")
    history = release(history, "tensorflow/2.20.0-cpu", kernel="deep-learning")
    with pytest.raises(StackwrightError, match=r"kernel.json belongs to tensorflow/2.20.0-cpu"):
        rollback(history, "pytorch")


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "modules/../../x", "release.json", "modules", "modules//x", "modules/a b", ""],
)
def test_content_stays_in_its_folders(path: str) -> None:
    with pytest.raises(ValueError, match="not a path under modules/, jupyter/ or images/"):
        Content(files={path: digest("")}, links={})


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "steps/../../x", ".hidden", ""])
def test_links_stay_in_the_store(target: str) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        Content(files={}, links={"images/pytorch/oci": target})


MODULES = ("pytorch/2.12.0-cpu", "pytorch/2.13.0-cpu", "tensorflow/2.20.0-cpu")
ACTIONS = st.lists(
    st.tuples(st.sampled_from(MODULES), st.booleans(), st.booleans()), min_size=1, max_size=12
)


def play(actions: Sequence[tuple[str, bool, bool]]) -> HISTORY:
    """Release or roll back at random; a rollback with nothing to go back to does nothing."""
    history: HISTORY = ()
    for step, (module, back, make_default) in enumerate(actions):
        try:
            history = (
                rollback(history, module.split("/")[0])
                if back
                else release(history, module, str(step), make_default=make_default)
            )
        except StackwrightError:
            continue
    return history


@given(ACTIONS)
def test_history_is_linear_and_a_rollback_right_after_a_release_undoes_it(
    actions: list[tuple[str, bool, bool]],
) -> None:
    history = play(actions)
    assert [g.number for g in history] == list(range(1, len(history) + 1))
    assert [g.parent for g in history] == [None, *range(1, len(history))][: len(history)]
    if any(g.stack == "pytorch" for g in history):
        undone = rollback(release(history, "pytorch/2.13.0-cpu", "newest"), "pytorch")
        assert view(undone[-1], "pytorch") == view(history[-1], "pytorch")


@given(ACTIONS)
def test_a_generation_is_the_same_after_writing_and_reading(
    actions: list[tuple[str, bool, bool]],
) -> None:
    for generation in play(actions):
        text = generation.model_dump_json(by_alias=True)
        assert Generation.model_validate_json(text) == generation
