"""What Horovod's users switch on beside its plain optimizer does what its definition says.

Each rank knows what all of them hold (`horovod_options_numpy.py`), and computes the truth from
that. A part for each framework has what its users write: `horovod_options_torch.py`,
`horovod_options_tensorflow.py`, which is Keras 3's as well.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol

import numpy as np
from emit import Emitter, listed
from frameworks import Findings, findings
from horovod_options_numpy import (
    Arrays,
    Ways,
    adasum,
    bound_in_float16,
    check_close,
    check_equal,
    drawn,
    lookups,
    mean,
    nested,
    piece,
    table,
    total,
)
from horovod_world import joined

PARTS = {"torch": "torch", "keras": "tensorflow"}
NAMES = map("case.{}".format, count())
"""Names of calls: Horovod matches those of ranks by them."""


class Options(Protocol):
    """What a framework's users do with Horovod."""

    collectives: Any
    """The module of Horovod that has the collectives for the framework's tensors."""

    def tensor(self, array: np.ndarray) -> Any:
        """Make a tensor."""

    def stepped(self, mine: Arrays, together: Sequence[int] = (), **options: Any) -> Ways:
        """Give the gradients by which a rank steps whose own are vectors in float32.

        Args:
            together: which of them are reduced in a group, as against each for itself.
            options: Horovod's.
        """

    def looked_up(self, rows: np.ndarray, mine: np.ndarray, **options: Any) -> Ways:
        """Give the gradient of a table by which a rank steps that looks up rows: its own is sparse,
        with the values that are given."""

    def check_own(self, found: Findings, rank: int, world: int) -> None:
        """Check what Horovod has for this framework alone."""


def check_compression(found: Findings, options: Options, rank: int, world: int) -> None:
    """Sum and average in float16: exactly where it can, and within its rounding elsewhere."""
    horovod = options.collectives
    half = {"compression": horovod.Compression.fp16}
    got = [
        horovod.allreduce(options.tensor(one), name=next(NAMES), op=horovod.Sum, **half).numpy()
        for one in drawn(rank)
    ]
    held = [drawn(other) for other in range(world)]
    check_equal(found, "compressed_allreduce", {"allreduce": got}, total(held))

    # The sum is beyond float16, and what is divided first is not.
    large = [[np.full(8, 40000 + 32 * world * other, np.float32)] for other in range(world)]
    ways = options.stepped(large[rank], gradient_predivide_factor=float(world), **half)
    check_equal(found, "predivided_gradients", ways, mean(large))

    normal = np.random.default_rng(31).normal(size=(world, 1000)).astype(np.float32)
    means = [slope for (slope,) in options.stepped([normal[rank]], **half).values()]
    error = np.abs(np.array(means) - normal.mean(axis=0, dtype=np.float64))
    worst = (error / bound_in_float16(normal)).max()
    short = all(np.array_equal(slope, slope.astype(np.float16)) for slope in means)
    detail = f"{worst:.2f} of the bound; sent in float16: {short}"
    found.check("compressed_gradients", worst <= 1 and short, detail)


def check_groups(found: Findings, options: Options, rank: int, world: int) -> None:
    """Reduce several tensors at once."""
    horovod, held = options.collectives, [drawn(other) for other in range(world)]
    mine = [options.tensor(one) for one in held[rank]]
    got = horovod.grouped_allreduce(mine, name=next(NAMES), op=horovod.Sum)
    ways = {"grouped_allreduce": [one.numpy() for one in got]}
    check_equal(found, "grouped_allreduce", ways, total(held))
    check_equal(found, "grouped_gradients", options.stepped(held[rank], groups=2), mean(held))
    ways = options.stepped(held[rank], together=(0, 2, 3))
    check_equal(found, "listed_groups", ways, mean(held))


def check_operations(found: Findings, options: Options, rank: int, world: int) -> None:
    """Reduce by other operations than the mean."""
    horovod, held = options.collectives, [drawn(other) for other in range(world)]
    ways = options.stepped(held[rank], op=horovod.Sum)
    check_equal(found, "summed_gradients", ways, total(held))

    mine = [options.tensor(one.astype(np.float64)) for one in held[rank]]
    got = [horovod.allreduce(one, name=next(NAMES), op=horovod.Adasum).numpy() for one in mine]
    wanted = [adasum(each) for each in zip(*held, strict=True)]
    check_close(found, "adasum", {"allreduce": got}, wanted, "float64")


def check_sparse(found: Findings, options: Options, rank: int, world: int) -> None:
    """Average the gradients of the rows that each rank has looked up."""
    wanted = mean([[table(other)] for other in range(world)])
    for name, as_dense in (("sparse_gradients", False), ("sparse_as_dense", True)):
        ways = options.looked_up(*lookups(rank), sparse_as_dense=as_dense)
        check_equal(found, name, ways, wanted)


def check_uneven(found: Findings, options: Options, rank: int, world: int) -> None:
    """Move as many rows as each rank has: none, or more than the one before."""
    horovod, ranks = options.collectives, range(world)
    rows = [np.arange(other, 3 * other) for other in ranks]
    got = horovod.allgather(options.tensor(rows[rank]), name=next(NAMES)).numpy()
    check_equal(found, "uneven_allgather", {"allgather": [got]}, [np.concatenate(rows)])

    sent, wanted = [piece(rank, o) for o in ranks], [piece(o, rank) for o in ranks]
    mine = options.tensor(np.concatenate(sent))
    got, splits = horovod.alltoall(mine, splits=list(map(len, sent)), name=next(NAMES))
    ways = {"alltoall": [got.numpy(), splits.numpy()]}
    expected = [np.concatenate(wanted), np.array([len(each) for each in wanted])]
    check_equal(found, "uneven_alltoall", ways, expected)


def check_objects(found: Findings, options: Options, rank: int, world: int) -> None:
    """Hand Python's objects out, and gather them."""
    horovod, last = options.collectives, world - 1
    got = horovod.broadcast_object(nested(rank), root_rank=last)
    found.check("broadcast_object", got == nested(last), f"rank {got['rank']}'s, of {last}")
    every = horovod.allgather_object(nested(rank))
    detail = f"of ranks {listed(each['rank'] for each in every)}"
    found.check("allgather_object", every == [nested(other) for other in range(world)], detail)


def check_process_sets(found: Findings, options: Options, rank: int, world: int) -> None:
    """Average over the even ranks, and over the odd ones."""
    horovod = options.collectives
    sets = [horovod.add_process_set(list(range(first, world, 2))) for first in range(2)]
    ways = options.stepped(drawn(rank), process_set=sets[rank % 2])
    wanted = mean([drawn(other) for other in range(rank % 2, world, 2)])
    check_equal(found, "process_sets", ways, wanted)


CHECKS = (
    *(check_compression, check_groups, check_operations, check_sparse, check_uneven),
    *(check_objects, check_process_sets),
)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=PARTS, required=True)
    framework = parser.parse_args().framework
    os.environ["HOROVOD_DYNAMIC_PROCESS_SETS"] = "1"
    with (
        Emitter() as out,
        findings(out, [framework]) as found,
        joined(out, framework) as horovod,
    ):
        if horovod is None:
            return
        part: Any = importlib.import_module(f"horovod_options_{PARTS[framework]}")
        options: Options = part.options(horovod)
        for check in CHECKS:
            check(found, options, out.rank, out.world)
        options.check_own(found, out.rank, out.world)


if __name__ == "__main__":
    main()
