"""Who waits for another command in the same store is told so."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from stackwright.store import Store


def test_who_waits_for_another_is_told(tmp_path: Path) -> None:
    waited: list[str] = []
    with ExitStack() as another:
        another.enter_context(Store(tmp_path).lock("prefix-1"))

        def let_go(name: str) -> None:
            waited.append(name)
            another.close()

        with Store(tmp_path, on_wait=let_go).lock("prefix-1") as free:
            assert free
    assert waited == ["prefix-1"]


def test_who_does_not_wait_is_not_told(tmp_path: Path) -> None:
    def fail(name: str) -> None:
        raise AssertionError(name)

    with Store(tmp_path).lock("one"), Store(tmp_path, on_wait=fail).lock("one", wait=False) as free:
        assert not free
    with Store(tmp_path, on_wait=fail).lock("one") as free:
        assert free
