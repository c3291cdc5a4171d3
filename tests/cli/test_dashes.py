"""The user's command comes after `--`: what stands before it is never taken for a part of it."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from stackwright.cli import job, main, run
from stackwright.cli.dashes import AfterDashes


@click.command(cls=AfterDashes)
@click.argument("label")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--mount", "mounts", multiple=True)
@click.option("-N", "nodes", type=int)
def words_of(label: str, words: tuple[str, ...], mounts: tuple[str, ...], nodes: int) -> None:
    click.echo(repr((label, words, mounts, nodes)))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("pytorch", "--", "python", "-c", "1"), ("python", "-c", "1")),
        (("pytorch", "--", "sh", "--mount", "x", "-N", "3"), ("sh", "--mount", "x", "-N", "3")),
        (("pytorch", "--", "sh", "--", "x"), ("sh", "--", "x")),
        (("pytorch", "--", "--weird"), ("--weird",)),
    ],
)
def test_what_comes_after_the_dashes_is_the_command_as_it_is(
    typed: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert CliRunner().invoke(words_of, typed).output == f"('pytorch', {tuple(words)}, (), None)\n"


def test_options_stand_before_or_after_the_label() -> None:
    said = CliRunner().invoke(words_of, ["-N", "2", "pytorch", "--mount", "/a:/b", "--", "true"])

    assert said.output == "('pytorch', ('true',), ('/a:/b',), 2)\n"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (("job", "pytorch", "-N", "2", "--partiton", "x", "--", "python"), "--partition"),
        (("run", "pytorch", "--runtme", "podman", "--", "python"), "--runtime"),
        (("run", "pytorch", "--runtme", "podman", "python"), "--runtime"),
        (("run", "pytorch", "-x", "--", "python"), "-x"),
        (("run", "pytorch", "python", "-c", "1"), "What is the command's comes after --."),
        (("run", "pytorch", "python", "a b"), "comes after --, as in: -- python 'a b'"),
        (("run", "pytorch", "python", "--", "-c"), "comes after --, as in: -- python -c"),
        (("run", "pytorch"), "as in: stackwright run pytorch -- python"),
        (("run", "pytorch", "--"), "as in: stackwright run pytorch -- python"),
        (("run", "pytorch", "--env", "--", "python"), "--env"),
        (("run", "--", "python"), "LABEL"),
    ],
)
def test_what_stands_before_them_is_never_the_command(
    typed: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    assert why in capsys.readouterr().err


def test_run_and_job_are_such_commands() -> None:
    assert all(isinstance(each.command, AfterDashes) for each in (run, job))
