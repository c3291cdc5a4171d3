"""Distributed training algorithms, each small enough to read beside the paper that defines it.

Plain torch over a communicator (communicators.py), so that the same function runs on gloo, NCCL and
MPI. A gradient, an update or a layer's weights are tensors of one dimension, and stay as they are.
Algorithms with a collective under way between two steps are in stale_gradients.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from communicators import Communicator
from torch import Tensor, nn

# --- sums and means over ranks ------------------------------------------------------------------


def mean_over_ranks(comm: Communicator, mine: Tensor) -> Tensor:
    """Give the mean of all ranks' tensors: of gradients, if all ranks have as many samples."""
    return comm.start_allreduce(mine).wait() / comm.size


def split_nodes(world: Communicator, per_node: int) -> tuple[Communicator, Communicator]:
    """Give this rank's node, and the ranks that have this rank's place on all nodes.

    Ranks are placed on nodes in blocks, as launchers do it unless told otherwise.

    Raises:
        ValueError: if the nodes would not have the same number of ranks.
    """
    if world.size % per_node:
        raise ValueError(f"{world.size} ranks do not fill nodes of {per_node} ranks")
    return world.split(world.rank // per_node), world.split(world.rank % per_node)


def hierarchical_allreduce(mine: Tensor, node: Communicator, across: Communicator) -> Tensor:
    """Sum over all ranks: first within each node, then between nodes, then within nodes again.

    Each rank of a node takes one piece of the sum through the network, so that a node sends every
    element once, however many ranks it has. After the hybrid NCCL and MPI allreduce of Kurth et
    al., "Exascale Deep Learning for Climate Analytics", SC18, arXiv:1810.01993, where four of a
    node's six ranks did so.

    Args:
        mine: this rank's part, (n,) for any n.
        node: the ranks of this node.
        across: the ranks with this rank's place on all nodes.
    """
    padded = nn.functional.pad(mine, (0, -mine.numel() % node.size))
    piece = across.start_allreduce(node.reduce_scatter(padded)).wait()
    return node.allgather(piece)[: mine.numel()]


def accumulated_mean(comm: Communicator, parts: Iterable[tuple[Tensor, int]]) -> Tensor:
    """Give the gradient of the mean loss over all samples of all micro-batches of all ranks.

    Sums are weighted by samples, so that neither micro-batches nor ranks need be of one size: the
    mean of the means would favour the samples of small ones. The count travels with the sum.

    Args:
        comm: all ranks; each has at least one micro-batch.
        parts: for each of this rank's micro-batches, the gradient of its mean loss and its samples.
            May be a generator: only the running sum is kept.
    """
    weighted = (torch.cat([g * samples, g.new_tensor([samples])]) for g, samples in parts)
    total = comm.start_allreduce(reduce(torch.add, weighted)).wait()
    return total[:-1] / total[-1]


def sparse_mean(
    comm: Communicator, mine: Sequence[Tensor | None], weights: Sequence[Tensor]
) -> list[Tensor | None]:
    """Give each layer's mean gradient over ranks, sending only the layers that some rank has used.

    A rank that hasn't used a layer counts with a gradient of zero, as its samples do in the mean
    loss of all. After etalumis, whose network has layers for each address of a simulator, of which
    a batch visits few (Baydin et al., "Etalumis: bringing probabilistic programming to scientific
    simulators at scale", SC19, arXiv:1907.03382).

    Args:
        comm: all ranks.
        mine: this rank's gradient of each layer, (n,), or None where it hasn't used the layer.
        weights: of each layer, (n,).

    Returns:
        The means; None where no rank has used the layer, which an optimizer then leaves as it is.
    """
    used = torch.tensor([float(gradient is not None) for gradient in mine])
    by_some = comm.start_allreduce(used, "max").wait().bool().tolist()
    pairs = zip(mine, weights, strict=True)
    dense = [torch.zeros_like(w) if gradient is None else gradient for gradient, w in pairs]
    sent = [gradient for gradient, used in zip(dense, by_some, strict=True) if used]
    if not sent:
        return [None] * len(dense)
    means = iter(mean_over_ranks(comm, torch.cat(sent)).split([len(part) for part in sent]))
    return [next(means) if used else None for used in by_some]


# --- gradients in 16 bits -----------------------------------------------------------------------


def common_exponent(comm: Communicator, mine: Tensor) -> Tensor:
    """Choose e, so that 2^e times the largest element of any rank lies in [2^14, 2^15).

    There float16, which ends at 2^16, neither overflows nor wastes the low end of its range. Where
    the largest is below 2^-112 it stays below 2^14, as e ends at 126, for 2^-e to be normal.
    """
    largest = mine.abs().max().reshape(1)
    _, exponent = torch.frexp(comm.start_allreduce(largest, "max").wait())
    return 15 - exponent.clamp(min=-111)


def compressed_mean(comm: Communicator, mine: Tensor, dtype: torch.dtype) -> Tensor:
    """Give the mean over ranks of float32 gradients, sending 16 bits an element both ways.

    Each rank receives its share of every rank's tensor, sums in float32, and sends the rounded mean
    to all: so every rank holds the same bits. A message and a mean are rounded once each, hence for
    each element, with u the format's unit roundoff, u' that of float32, and t half of the format's
    smallest positive number, times the scale:

        |result - mean(x)| <= (2 u + u^2 + 2 size u') mean(|x|) + 3 t

    Args:
        comm: all ranks.
        mine: this rank's gradient, float32 (n,) with n > 0. Of all ranks' elements, the largest is
            at least 2^-112, or else zero.
        dtype: torch.float16, or torch.bfloat16 for a wide range at less precision.
    """
    exponent = common_exponent(comm, mine)
    padded = nn.functional.pad(mine, (0, -mine.numel() % comm.size))
    # As bytes, since copies need no arithmetic, and neither MPI nor NumPy has a bfloat16.
    sent = torch.ldexp(padded, exponent).to(dtype).view(torch.uint8)
    shares = comm.alltoall(sent).view(dtype).float().view(comm.size, -1)
    mean = (shares.sum(dim=0) / comm.size).to(dtype).view(torch.uint8)
    return torch.ldexp(comm.allgather(mean).view(dtype).float(), -exponent)[: mine.numel()]


# --- layer-wise adaptive rates ------------------------------------------------------------------


def larc_step(
    weights: Tensor, gradient: Tensor, rate: float, trust: float = 0.02, decay: float = 0.0
) -> Tensor:
    """Take a step of SGD whose rate is limited for this layer by how large its weights are.

        w - min(rate, trust |w| / (|g| + decay |w|)) (g + decay w)

    LARC, as SC18's climate networks used it: the layer's rate of LARS (You, Gitman, Ginsburg,
    "Large batch training of convolutional networks", arXiv:1708.03888) as an upper limit. A layer
    of zeros, such as a new bias, would never move, so no limit holds for it.

    Args:
        weights: of one layer, (n,).
        gradient: the mean over all ranks. A rank's own would give each rank a rate of its own.
        rate: global learning rate.
        trust: about the fraction of its own length that a layer may move in a step.
        decay: weight decay.
    """
    size, slope = torch.linalg.vector_norm(weights), torch.linalg.vector_norm(gradient)
    limit = trust * size / (slope + decay * size) if size and slope else math.inf
    return weights - min(rate, float(limit)) * (gradient + decay * weights)


class Moments(NamedTuple):
    """What LAMB remembers of a layer: decaying means of the gradient and of its square."""

    first: Tensor
    second: Tensor
    steps: int = 0


def lamb_step(
    weights: Tensor,
    gradient: Tensor,
    moments: Moments,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-6,
    decay: float = 0.0,
) -> tuple[Tensor, Moments]:
    """Take a step in Adam's direction r, as long as the layer's weights times the rate.

        w - rate |w| / |r + decay w| (r + decay w),  r = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + e)

    Algorithm 2 of You et al., "Large batch optimization for deep learning: training BERT in 76
    minutes", arXiv:1904.00962; |w| / |r + decay w| counts as 1 where one of them is zero. Arguments
    are those of `larc_step`; gives the weights and moments after the step.
    """
    steps = moments.steps + 1
    first = betas[0] * moments.first + (1 - betas[0]) * gradient
    second = betas[1] * moments.second + (1 - betas[1]) * gradient.square()
    spread = (second / (1 - betas[1] ** steps)).sqrt() + epsilon
    update = first / (1 - betas[0] ** steps) / spread + decay * weights
    size, length = torch.linalg.vector_norm(weights), torch.linalg.vector_norm(update)
    ratio = size / length if size and length else 1.0
    return weights - rate * ratio * update, Moments(first, second, steps)
