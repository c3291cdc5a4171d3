"""What networks are made of beside the kernels that are timed, each against its definition.

Layers, losses, optimizers, linear algebra, indexing, transforms, and NumPy's BLAS and LAPACK, at
sizes that leave a rest in every vector, block and thread. Definitions are written out here in
float64; where they multiply matrices, they add products up, so that no BLAS judges itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import operators_layers
import operators_numpy
import operators_torch
import torch
from emit import Emitter
from limits import Error, judged

CHECKS: dict[str, Callable[[], Iterable[Error]]] = {
    "small_numbers": operators_torch.small_numbers,
    "numpy_products": operators_numpy.products,
    "numpy_linear_algebra": operators_numpy.linear_algebra,
    "linear": operators_layers.linear,
    "autocast": operators_layers.autocast,
    "convolutions": operators_layers.convolutions,
    "attention": operators_layers.attention,
    "norms": operators_layers.norms,
    "dropout": operators_layers.dropout,
    "recurrent": operators_layers.recurrent,
    "activations": operators_layers.activations,
    "losses": operators_layers.losses,
    "optimizers": operators_torch.optimizers,
    "conversions": operators_torch.conversions,
    "indexing": operators_torch.indexing,
    "linear_algebra": operators_torch.linear_algebra,
    "transforms": operators_torch.transforms,
}


def main() -> None:
    """Run the case."""
    with Emitter() as out:
        for name, check in CHECKS.items():
            torch.manual_seed(1)
            out.check(name, *judged(check()))


if __name__ == "__main__":
    main()
