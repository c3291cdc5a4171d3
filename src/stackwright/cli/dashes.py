"""Commands that take a command of the user's, which comes after ``--``."""

from __future__ import annotations

import shlex

import click


class AfterDashes(click.Command):
    """A command whose argument ``words`` is what stands after the first ``--``, as it is.

    All before is its own, so that a mistyped option is an error and never the user's command.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what is this command's, and leave the rest alone."""
        at = args.index("--") if "--" in args else len(args)
        own, words = args[:at], tuple(args[at + 1 :])
        try:
            rest = super().parse_args(ctx, own)
        except click.NoSuchOption as error:
            if at < len(args):
                raise
            what = f"{error.format_message()} What is the command's comes after --."
            raise click.UsageError(what, ctx) from error
        if not ctx.resilient_parsing:
            _check(ctx, tuple(ctx.params["words"]), words)
        ctx.params["words"] = words
        return rest


def _check(ctx: click.Context, early: tuple[str, ...], words: tuple[str, ...]) -> None:
    if early:
        example = shlex.join((*early, *words))
        raise click.UsageError(f"the command comes after --, as in: -- {example}", ctx)
    if not words:
        example = f"{ctx.command_path} {ctx.params['label']} -- python"
        raise click.UsageError(f"no command: it comes after --, as in: {example}", ctx)
