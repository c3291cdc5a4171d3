"""Every framework computes the same: the same weights and input give what NumPy gives in float64.

As each agrees with one definition, all agree with each other; `--between` compares those of one
stack directly as well.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from typing import Protocol

import numpy as np
from emit import Emitter
from frameworks import Findings, findings, frameworks, part, stack_argument
from layers_numpy import Arrays, batch, loss_and_gradient, parameters

# Roundings of sums of up to 400 terms grow as their root, over some ten layers: 20 * 10.
ROUNDINGS = 200
DTYPES = ("float64", "float32")
STEP = 1e-5
# Of central differences: the step squared, and rounding over the step.
DIFFERENCES_TOLERANCE = 1e-7

Result = tuple[Arrays, Arrays]


class Part(Protocol):
    """`parity_<framework>.py`."""

    def compute(self, p: Arrays, images: np.ndarray, classes: np.ndarray) -> Result:
        """Give what `loss_and_gradient` gives, by the framework's layers, in the arrays' dtype."""


def deviation(found: Arrays, wanted: Arrays) -> float:
    """Give the largest error, over the arrays, relative to each one's largest element."""
    return max(
        float(np.abs(found[name].astype(np.float64) - array).max() / np.abs(array).max())
        for name, array in wanted.items()
    )


def slope_error() -> float:
    """Hold the written-out gradient against differences of the loss, parameter by parameter."""
    p, sample = parameters(), batch()
    gradient = loss_and_gradient(p, *sample)[1]
    rng = np.random.default_rng(9)
    errors = []
    for name, array in p.items():
        way = rng.normal(size=array.shape)
        losses = [
            float(loss_and_gradient({**p, name: array + s * STEP * way}, *sample)[0]["loss"])
            for s in (1, -1)
        ]
        slope, wanted = (losses[0] - losses[1]) / (2 * STEP), float((gradient[name] * way).sum())
        errors.append(abs(slope - wanted) / float(np.abs(gradient[name]).max()))
    return max(errors)


def computed(framework: str, dtype: str) -> Result:
    """Have a framework compute the network in a dtype."""
    rounded = {name: array.astype(dtype) for name, array in parameters().items()}
    images, classes = batch()
    each: Part = part("parity", framework)
    return each.compute(rounded, images.astype(dtype), classes)


def check(found: Findings, results: dict[tuple[str, str], Result], names: list[str]) -> None:
    """Compare each framework with the definition."""
    wanted = loss_and_gradient(parameters(), *batch())
    for found.framework in names:
        for dtype in DTYPES:
            limit = ROUNDINGS * float(np.finfo(dtype).eps)
            result = results[found.framework, dtype]
            for kind, got, want in zip(("forward", "gradient"), result, wanted, strict=True):
                error = deviation(got, want)
                right = error <= limit and all(str(a.dtype) == dtype for a in got.values())
                detail = f"max relative error {error:.1e}, limit {limit:.1e}"
                found.check(f"{kind}_{dtype}", right, detail)


def check_between(out: Emitter, results: dict[tuple[str, str], Result], names: list[str]) -> None:
    """Compare each two frameworks with each other; there have to be two."""
    for dtype in DTYPES:
        limit = 2 * ROUNDINGS * float(np.finfo(dtype).eps)
        errors = {
            f"{a} and {b}": max(map(deviation, results[a, dtype], results[b, dtype]))
            for a, b in combinations(names, 2)
        }
        told = ", ".join(f"{pair} {error:.1e}" for pair, error in errors.items())
        right = bool(errors) and max(errors.values()) <= limit
        out.check(f"between_{dtype}", right, f"{told or 'only one framework'}, limit {limit:.1e}")


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    stack_argument(parser)
    parser.add_argument("--between", action="store_true", help="compare frameworks directly, too")
    options = parser.parse_args()
    names = frameworks(options.stack)
    with Emitter() as out:
        error = slope_error()
        detail = f"max error {error:.1e}, limit {DIFFERENCES_TOLERANCE:.0e}"
        out.check("reference", error <= DIFFERENCES_TOLERANCE, detail)
        results = {(name, dtype): computed(name, dtype) for name in names for dtype in DTYPES}
        with findings(out, names) as found:
            check(found, results, names)
        if options.between:
            check_between(out, results, names)


if __name__ == "__main__":
    main()
