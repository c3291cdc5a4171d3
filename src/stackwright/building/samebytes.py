"""Show that an artefact's three forms are one: its squashfs and its prefix are those of its image.

Validation runs the image and the prefix, users get the squashfs too. As the squashfs follows from
the image bit by bit, making it again shows that it is what was validated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from stackwright.building.providers.scripts import run_script
from stackwright.building.recipe import render
from stackwright.canonical import hash_file
from stackwright.certify.artefact import Artefact
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.site import Site
from stackwright.locking.locks import Lock
from stackwright.plans.plan import Plan
from stackwright.store import Store
from stackwright.tools.process import Runner, ToolError

SQUASHFS = "squashfs"


def check_one_image(
    artefact: Artefact,
    plan: Plan,
    lock: Lock,
    site: Site,
    store: Store,
    runner: Runner,
    on_size: Callable[[int], None] = lambda _size: None,
) -> None:
    """Make the squashfs from the image again, comparing the image's prefix on the way.

    Args:
        on_size: is told from time to time how many bytes the squashfs has by then.

    Raises:
        StackwrightError: the artefact's squashfs or prefix holds other files than its image.
    """
    recipe = render(plan, lock, site)
    step = next(step for step in recipe.steps if step.name == SQUASHFS)
    inputs = {
        "image": store.path(artefact.image.oci).parent,
        "prefix": store.path(artefact.prefix.path).parent,
    }
    work = store.path("work")
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=work, prefix="again-") as folder:
        again = Path(folder, "image.squashfs")
        try:
            with watched(again, on_size):
                run_script(recipe, step, Path(folder), inputs=inputs, env={}, runner=runner)
        except ToolError as error:
            raise _different(artefact, "prefix", error.tail) from error
        made = hash_file(again)
    if made != artefact.squashfs.digest:
        raise _different(artefact, "squashfs", f"made again: {made}")


@contextmanager
def watched(path: Path, on_size: Callable[[int], None], every: float = 0.5) -> Iterator[None]:
    """Tell the size of a file every so many seconds, while another program writes it."""
    stop = Event()

    def look() -> None:
        while not stop.wait(every):
            with suppress(FileNotFoundError):
                on_size(path.stat().st_size)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _different(artefact: Artefact, part: str, detail: str) -> StackwrightError:
    return StackwrightError(
        f"the {part} of {artefact.label} is not that of its image: {detail}",
        hint=f"build it again in a fresh store: stackwright build '{artefact.label}'",
        code=ExitCode.INVALID,
    )
