"""Show what takes long: on a terminal with a live last line, else one plain line per event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def duration(seconds: float) -> str:
    """Seconds for people: ``0.4 s``, ``42 s``, ``3 min 05 s``."""
    if seconds < 10:  # noqa: PLR2004 - a tenth matters only there
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """Bytes for people, in powers of 1000: ``1.2 GB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - the step between the units
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


class Progress:
    """Tasks one after the other; a context manager, so that the terminal is left clean.

    Goes to standard error: standard output is for results.
    """

    def __init__(self, *, color: bool) -> None:
        """Look at the terminal; nothing is shown yet."""
        from rich.console import Console

        self._console: Console = Console(stderr=True, no_color=not color, highlight=False)
        self._title = self._last = ""
        self._started = 0.0

    def __enter__(self) -> Progress:
        """Start the live line."""
        from rich.live import Live

        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
        )
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the live line away."""
        self._title = ""
        self._live.stop()

    def line(self, text: str) -> None:
        """Take note of the last line that a program printed."""
        if text.strip():
            self._last = text

    def live(self, title: str) -> None:
        """Show on a terminal what is being done now."""
        self._title, self._last, self._started = title, "", time.monotonic()

    def start(self, title: str) -> None:
        """Say what is being done now."""
        self.live(title)
        if not self._console.is_terminal:
            self._print(f"{title} ...")

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[str, int, int], None]]:
        """Say what is being done now, and, where no terminal shows it, how long it took.

        Yields a function that is told a part, how many of its bytes are done, and of how many.
        """
        self.start(title)
        parts: dict[str, str] = {}

        def show(part: str, done: int, total: int) -> None:
            parts[part] = f"{part} {size(done)} of {size(total)}"
            self.line(", ".join(parts.values()))

        yield show
        self._title = ""
        if not self._console.is_terminal:
            self._print(f"{title}: {duration(time.monotonic() - self._started)}")

    def part(self, text: str) -> None:
        """Say that a part of what is being done now is finished."""
        self._print(f"  {text}")

    def end(self, text: str) -> None:
        """Say what came of it."""
        self._title = ""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _render(self) -> Text:
        from rich.text import Text

        if not self._title:
            return Text("")
        elapsed = duration(time.monotonic() - self._started)
        shown = Text(f"{self._title}  {elapsed}  ", style="bold", no_wrap=True, overflow="ellipsis")
        return shown.append(self._last, style="dim not bold")
