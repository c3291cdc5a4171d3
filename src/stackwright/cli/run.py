"""``stackwright run``: a command in a stack, under a run time that works here."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackwright.cli.context import Context, pass_context
from stackwright.cli.dashes import AfterDashes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackwright.certify.artefact import Artefact
    from stackwright.inputs.labels import Label
    from stackwright.inputs.systems import System
    from stackwright.runtimes.request import Mount, Request, Runtime
    from stackwright.workshop import Workshop


@click.command("run", cls=AfterDashes)
@click.argument("label")
@click.argument("words", metavar="-- COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option("--runtime", metavar="NAME", help="Else the first of the system's that works here.")
@click.option("--built", is_flag=True, help="What was built last, released or not.")
@click.option(
    "--mount",
    "mounts",
    metavar="SOURCE:TARGET[:rw]",
    multiple=True,
    help="A folder that the command sees, and with :rw may write to; again for each. The current"
    " one it sees anyway. Charliecloud lets it write to all of them.",
)
@click.option(
    "--env",
    "variables",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="A variable for the command, without a value as it is here; again for each.",
)
@click.option("--gpus", is_flag=True, help="Let it use the GPUs of this machine.")
@click.option("--dry-run", is_flag=True, help="Print the command line, and run nothing.")
@pass_context
def command(
    context: Context,
    label: str,
    words: tuple[str, ...],
    runtime: str | None,
    built: bool,
    mounts: tuple[str, ...],
    variables: tuple[str, ...],
    gpus: bool,
    dry_run: bool,
) -> int:
    """Run a command in the image of a released stack.

    It sees the current folder, can write to it, and starts there (under Charliecloud the folder is
    below /tmp; Shifter and bubblewrap show what the system file names as mounts, and /tmp). Ends
    with the command's own exit code, and with 130 after Ctrl-C.

    \b
    Examples:
      stackwright run pytorch -- python train.py
      stackwright run pytorch --mount /data/imagenet:/data -- python train.py --data /data
      stackwright run pytorch --built --runtime charliecloud -- python -c 'import torch'
      stackwright run pytorch --dry-run -- python train.py
    """
    from stackwright.cli.foreground import run_in_foreground
    from stackwright.cli.progress import Progress
    from stackwright.cli.torchrun import check_torchrun
    from stackwright.cli.workshop import open_workshop
    from stackwright.errors import StackwrightError
    from stackwright.runtimes.here import Here
    from stackwright.runtimes.request import without_settings

    more, env = tuple(map(_mount, mounts)), dict(map(_variable, variables))
    with Progress(color=context.color) as progress:
        shop = open_workshop(context, label, progress)
        artefact = shop.artefact if built else _released(shop)
        check_torchrun(words, shop, artefact, "`mpiexec -n 2 python`")
        system = shop.label.system
        described, injections = shop.site.system(system), shop.site.injections(system)
        if gpus:
            _check_gpus(described, shop.label, looked_for=not dry_run)
        here = Here(shop.store, shop.runner(progress.line), described, injections)
        chosen = here.first_that_works([runtime] if runtime else None)
        with shop.stage(f"making the image ready for {chosen}"):
            way = here.ready(chosen, artefact)
    request = _request(way, words, more, env, gpus=gpus)
    if not dry_run:
        request = replace(request, name=f"stackwright-run-{secrets.token_hex(4)}")
    here.check_mounts(chosen, artefact, request.mounts)
    try:
        made = way.command_line(request)
    except ValueError as error:
        raise StackwrightError(f"{chosen} can't run this: {error}") from error
    if dry_run:
        settings = [f"{name}={value}" for name, value in sorted(made.env.items())]
        click.echo(shlex.join(["env", *settings, *made.argv] if settings else made.argv))
        return 0
    kept = without_settings(os.environ)
    if dropped := sorted(os.environ.keys() - kept.keys()):
        click.echo(f"{chosen} runs without your {', '.join(dropped)}", err=True)
    return run_in_foreground(made.argv, {**kept, **made.env}, made.kill)


def _released(shop: Workshop) -> Artefact:
    from stackwright.cli.workshop import released_to_run

    hint = f"for what was built: stackwright run '{shop.label}' --built -- ..."
    return released_to_run(shop, hint)


_NVIDIA = ("/dev/nvidiactl", "/dev/dxg")
"""Through which programs reach NVIDIA's GPUs, by Linux's driver and by that of Windows below it."""


def _check_gpus(system: System, label: Label, *, looked_for: bool) -> None:
    """Check that there are GPUs; run times say it each in its way, or not at all.

    Args:
        looked_for: whether they have to be on this machine; NVIDIA's can be seen.
    """
    from stackwright.errors import StackwrightError

    if not system.gpus:
        raise StackwrightError(
            f"--gpus: '{system.name}' has no GPUs",
            hint=f"name a system that has: {label.module}@SYSTEM, or state them as `gpus`"
            f" in systems/{system.name}.yaml",
        )
    nvidia = {gpu.vendor for gpu in system.gpus} == {"nvidia"}
    if looked_for and nvidia and not any(Path(device).exists() for device in _NVIDIA):
        raise StackwrightError(
            f"--gpus: this machine shows no GPUs (there is no {_NVIDIA[0]})",
            hint="run it on a node that has some, as in a job, or leave --gpus out",
        )


def _request(
    way: Runtime,
    words: tuple[str, ...],
    mounts: tuple[Mount, ...],
    env: Mapping[str, str],
    *,
    gpus: bool,
) -> Request:
    from stackwright.runtimes.request import Mount, Request

    here = Path.cwd()
    inside = Path(way.mounts_below) / here.relative_to("/")
    mine = [_checked(Mount(str(here), str(inside), writable=True))] if here != Path("/") else []
    return Request(
        command=words,
        env=env,
        mounts=(*mine, *mounts),
        workdir=str(inside) if mine else None,
        gpus=gpus,
        stdin=True,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )


def _variable(text: str) -> tuple[str, str]:
    """A variable with its value, which is the one of this process where none is given."""
    from stackwright.errors import StackwrightError

    name, given, value = text.partition("=")
    if not name:
        raise StackwrightError(
            f"--env {text}: a variable has a name", hint="--env NAME=VALUE, or NAME as it is here"
        )
    if given:
        return name, value
    if text not in os.environ:
        raise StackwrightError(f"--env {text}: it is not set here", hint=f"--env {text}=VALUE")
    return text, os.environ[text]


def _mount(text: str) -> Mount:
    from stackwright.errors import StackwrightError
    from stackwright.runtimes.request import Mount

    source, _, target = text.removesuffix(":rw").partition(":")
    if not (source and target):
        raise StackwrightError(
            f"--mount {text}: it is not SOURCE:TARGET[:rw]",
            hint=f"--mount {source or '/data/imagenet'}:/data, or with :rw to write to it",
        )
    if target.endswith(":ro"):
        raise StackwrightError(
            f"--mount {text}: it is read-only unless it ends with :rw",
            hint=f"--mount {text.removesuffix(':ro')}",
        )
    folder = Path(source).absolute()
    if folder.exists() and not folder.is_dir():
        raise StackwrightError(
            f"--mount {text}: {folder} is a file, and only folders can be mounted",
            hint=f"its folder, to somewhere of your own: --mount {folder.parent}:/data",
        )
    if not folder.is_dir():
        raise StackwrightError(
            f"--mount {text}: there is no folder {folder}", hint="make it, or name another"
        )
    return _checked(Mount(str(folder), target, writable=text.endswith(":rw")))


def _checked(mount: Mount) -> Mount:
    """A mount that every run time can be told of in one word.

    Raises:
        StackwrightError: its paths have characters that separate fields, or it would hide what is
            the image's.
    """
    from stackwright.errors import StackwrightError
    from stackwright.runtimes.mountpoints import lies_over

    if not mount.target.startswith("/") or set(mount.target + mount.source) & set(':,"\n'):
        raise StackwrightError(
            f"can't mount {mount.source} at {mount.target}",
            hint="mounts have absolute paths without colon, comma or quote",
        )
    if lies_over(mount.target):
        raise StackwrightError(
            f"can't mount {mount.source} at {mount.target}: it would lie over the image's own, and"
            " what ran would not be what was certified",
            hint="start in a folder of your own, or choose another place:"
            f" --mount {mount.source}:/data",
        )
    return mount
