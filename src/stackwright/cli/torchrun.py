"""What ``job`` and ``run`` say to a command that begins with torchrun, PyTorch's launcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stackwright.certify.artefact import Artefact
    from stackwright.workshop import Workshop


def check_torchrun(words: Sequence[str], shop: Workshop, artefact: Artefact, instead: str) -> None:
    """Check that a stack has the torchrun of a command, and warn where it has Horovod, too.

    Horovod knows MPI's ranks and horovodrun's: by torchrun each is a world of its own, and no error
    says so.

    Args:
        artefact: what runs the command.
        instead: what starts ranks in the place of torchrun.

    Raises:
        StackwrightError: it hasn't, as it has no PyTorch.
    """
    from stackwright.batch.script import by_torchrun
    from stackwright.errors import StackwrightError
    from stackwright.report.contents import packages

    if not by_torchrun(words):
        return
    names = packages(shop.store.path(artefact.prefix.path))
    if "torch" not in names:
        raise StackwrightError(
            f"{shop.label} has no torchrun, as it has no PyTorch",
            hint=f"write {instead} in the place of torchrun and its options",
        )
    if "horovod" in names:
        click.echo(
            "warning: by torchrun each rank of Horovod is a world of its own, though those of"
            f" torch.distributed are one; for Horovod write {instead} in its place",
            err=True,
        )
