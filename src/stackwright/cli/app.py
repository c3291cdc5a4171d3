"""The ``stackwright`` command: global options, subcommands, and the one handler of errors."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from stackwright import __version__
from stackwright.cli.context import Context
from stackwright.cli.wording import name_the_label, of_the_store
from stackwright.errors import ExitCode, ManyErrors, StackwrightError
from stackwright.inputs.suggest import did_you_mean

# Modules of this package that export ``command``, in the order of a stack's life.
COMMANDS: tuple[str, ...] = (
    "init",
    "doctor",
    "list_",
    "show",
    "plan",
    "lock",
    "render",
    "mirror",
    "build",
    "lint",
    "validate",
    "judge",
    "certify",
    "verify",
    "release",
    "publish",
    "rollback",
    "history",
    "report",
    "run",
    "job",
    "keys",
    "schema",
)


class LazyGroup(click.Group):
    """Imports a subcommand's module when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it so
        """Every subcommand, in the order of the table."""
        return [module.rstrip("_") for module in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A subcommand by its name."""
        module = dict(zip(self.list_commands(ctx), COMMANDS, strict=True)).get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(f"stackwright.cli.{module}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; its errors name the label and the store that it is about."""
        try:
            return super().invoke(ctx)
        except StackwrightError as error:
            if isinstance(ctx.obj, Context):
                name_the_label(error, ctx.obj.about)
            raise
        except OSError as error:
            known = of_the_store(error, ctx.obj.stores) if isinstance(ctx.obj, Context) else None
            raise (known or error) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that was typed, or say which one is like it."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            guess = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"no command '{args[0]}'{guess}", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="stackwright")
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    help="Folder with the stack and system files (else STACKWRIGHT_SITE, else the current"
    " directory or one above it, else what ships with Stackwright).",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder for what is built and released (else STACKWRIGHT_STORE, else as the system says).",
)
@click.option("--debug", is_flag=True, help="Show the Python traceback of an error.")
@click.option("--no-color", is_flag=True, help="Print without colours (or set NO_COLOR).")
@click.pass_context
def group(
    ctx: click.Context, site: Path | None, store: Path | None, debug: bool, no_color: bool
) -> None:
    """Build, certify and release deep-learning software stacks.

    A label names one build of a stack: stack/version-variant@system. What can be left out is
    found if there is only one.

    \b
    Examples:
      stackwright init mysite          a copy of the stacks and systems, to edit
      stackwright list                 what there is, and how far each has come
      stackwright plan 'pytorch/*@*'   what would be built, and why
    """
    ctx.obj = Context(site, store, debug, color=not (no_color or os.environ.get("NO_COLOR")))


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors go to stderr, one line each."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        with _sigterm_as_ctrl_c():
            result: Any = group.main(arguments, prog_name="stackwright", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return ExitCode.USAGE
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except Exception as error:
        if "--debug" in arguments:
            raise
        return report(error, color="--no-color" not in arguments and "NO_COLOR" not in os.environ)
    return result if isinstance(result, int) else ExitCode.OK


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, which batch systems and CI send, end what a command started, as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    mine = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if mine else None
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, before)


def report(error: Exception, *, color: bool) -> int:
    """Print an error as ``error:`` and ``hint:`` lines; the exit code that goes with it."""
    problem = as_stackwright_error(error)
    for one in problem.errors if isinstance(problem, ManyErrors) else [problem]:
        _line("error", "red", str(one), color)
        if one.hint:
            _line("hint", "cyan", one.hint, color)
    return problem.code


def as_stackwright_error(error: Exception) -> StackwrightError:
    """Any error in the words of a :class:`StackwrightError`."""
    if isinstance(error, StackwrightError):
        return error
    if isinstance(error, click.ClickException):
        ctx = getattr(error, "ctx", None)
        path = ctx.command_path if ctx else "stackwright"
        return StackwrightError(error.format_message(), hint=f"{path} --help")
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return StackwrightError(f"{name}{error.strerror or error}", hint="--debug shows where")
    return StackwrightError(
        f"internal error: {type(error).__name__}: {error}",
        hint="run it again as 'stackwright --debug ...' and report what it prints",
        code=ExitCode.INVALID,
    )


def _line(word: str, colour: str, text: str, color: bool) -> None:
    start = click.style(f"{word}:", fg=colour, bold=True) if color else f"{word}:"
    click.echo(f"{start} {text}", err=True)
