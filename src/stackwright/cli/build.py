"""``stackwright build``: image, squashfs and prefix of one label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, echo_json, pass_context

if TYPE_CHECKING:
    from stackwright.building.build import Progress as Event
    from stackwright.certify.artefact import Artefact
    from stackwright.cli.progress import Progress
    from stackwright.plans.plan import Plan
    from stackwright.store import Store

ENGINES = ("podman", "buildah", "docker")


@click.command("build")
@click.argument("label")
@click.option(
    "--engine", type=click.Choice(ENGINES), help="Container engine (else the first that works)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the artefact's record as JSON.")
@pass_context
def command(context: Context, label: str, engine: str | None, as_json: bool) -> None:
    """Build a label: its image, the image's squashfs, and the same files as an install prefix.

    Beside them STORE/shifter has the image as Shifter runs it, to try it before it is released.

    Steps whose output is in the store are not done again; after an interruption the same command
    goes on where it stopped.

    \b
    Examples:
      stackwright build pytorch/2.13.0-cpu@local
      stackwright build pytorch@local --engine buildah --json
    """
    from stackwright.fit import check_fit
    from stackwright.plans.plan import plan_hash, resolve

    chosen = context.pick(label)
    check_fit(context.site, [chosen])
    plan = resolve(context.site, chosen)
    store = context.store(plan.system)
    artefact = store.read_artefact(plan_hash(plan))
    reused = artefact is not None
    if artefact is None:
        with _interruptible(str(plan.label)):
            artefact = _build(context, plan, store, (engine,) if engine else ENGINES)
    shifter = _shifter_layout(artefact, store)
    if as_json:
        record = artefact.model_dump(by_alias=True)
        echo_json({**record, "store": str(store.root), "shifter": shifter})
        return
    what = "was built before: nothing to do" if reused else "is built"
    click.echo(f"{artefact.label} {what}")
    click.echo("\n".join(_facts(artefact, store)))
    if shifter:
        click.echo(f"shifter   {shifter['meta']}")
    click.echo(f"next: stackwright validate {artefact.label}")


def _build(context: Context, plan: Plan, store: Store, engines: tuple[str, ...]) -> Artefact:
    from stackwright.building.build import build
    from stackwright.cli.progress import Progress
    from stackwright.tools.engines import BuildEngine, choose
    from stackwright.tools.process import Runner

    with Progress(color=context.color) as progress:
        runner = Runner(store.log, progress.line)

        def engine() -> BuildEngine:
            chosen = choose(engines, store, runner)
            how = f", {chosen.workaround}" if chosen.workaround else ""
            progress.end(f"engine: {chosen.version}{how}")
            return chosen

        return build(
            plan,
            context.site,
            store,
            engine,
            runner,
            on_progress=lambda e: show(e, progress),
            on_package=progress.part,
        )


def _shifter_layout(artefact: Artefact, store: Store) -> dict[str, str] | None:
    """Leave the image as Shifter runs it; None, with a warning, where it can't be told of it."""
    from stackwright.errors import StackwrightError
    from stackwright.shifter.layout import image_id, write_layout

    try:
        squashfs, meta = write_layout(store, artefact)
    except StackwrightError as error:
        click.echo(f"warning: not laid out for Shifter: {error}", err=True)
        return None
    name = image_id(artefact.image.digest)
    return {"id": name, "squashfs": str(squashfs), "meta": str(meta)}


def show(event: Event, progress: Progress) -> None:
    """Show how a step of a build begins and ends."""
    from stackwright.cli.progress import duration

    title = f"[{event.number}/{event.total}] {event.title}"
    if event.state == "running":
        progress.start(title)
    elif event.state == "reused":
        progress.end(f"{title}: there already")
    else:
        progress.end(f"{title}: {duration(event.seconds)}")


def _facts(artefact: Artefact, store: Store) -> Iterator[str]:
    from stackwright.cli.progress import size

    parts = (
        ("image", artefact.image.digest, artefact.image.bytes, artefact.image.oci),
        ("squashfs", artefact.squashfs.digest, artefact.squashfs.bytes, artefact.squashfs.path),
        ("prefix", artefact.prefix.digest, artefact.prefix.bytes, artefact.prefix.path),
    )
    for name, digest, count, path in parts:
        yield f"{name:<9} {digest}  {size(count):>7}  {store.path(path)}"


@contextmanager
def _interruptible(label: str) -> Iterator[None]:
    """Say how to go on after Ctrl-C. What was left in the engine's storage is removed."""
    try:
        yield
    except KeyboardInterrupt as error:
        go_on = f"the steps that were finished are kept; to go on: stackwright build '{label}'"
        click.echo(f"\n{go_on}", err=True)
        raise click.Abort from error
