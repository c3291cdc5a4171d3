"""Random steady diffusion: -(k u')' = 1 on [-1, 1], u = 0 at both ends, and k a random field.

The problem of Yang, Zhang and Karniadakis 2018 (arXiv:1811.02033) with a known force: ln k is a
sine plus a Gaussian process of covariance SPREAD^2 exp(-(x - y)^2). In one dimension the solution
is an integral, so Monte Carlo has no error but its own scatter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SPREAD = 0.7
POINTS = 65
X = np.linspace(-1, 1, POINTS)
STEP = X[1] - X[0]


@lru_cache(maxsize=1)
def root() -> np.ndarray:
    """Give a square root of the covariance of ln k on X."""
    values, vectors = np.linalg.eigh(SPREAD**2 * np.exp(-((X[:, None] - X) ** 2)))
    found: np.ndarray = vectors * np.sqrt(values.clip(min=0))
    return found


def integral(values: np.ndarray) -> np.ndarray:
    """Integrate values (..., POINTS) from -1 to each x, by trapezia."""
    areas = np.cumsum((values[..., 1:] + values[..., :-1]) / 2, axis=-1) * STEP
    return np.concatenate([np.zeros_like(areas[..., :1]), areas], axis=-1)


def solve(k: np.ndarray) -> np.ndarray:
    """Solve for u, given k (..., POINTS): the flux is k u' = c - x, with c from u(1) = 0."""
    c = integral(X / k)[..., -1:] / integral(1 / k)[..., -1:]
    return integral((c - X) / k)


def fields(seed: int, index: int) -> np.ndarray:
    """Draw k and u of sample `index` of the endless set `seed`: (2, POINTS), float32."""
    drawn = np.random.default_rng([seed, index, 0]).standard_normal(POINTS)
    k = np.exp(0.2 * np.sin(1.5 * np.pi * (X + 1)) + root() @ drawn)
    return np.stack([k, solve(k)]).astype(np.float32)


def divergence(k: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Give -(k s)' at the inner points, for slopes s between neighbours.

    Args:
        k: (..., POINTS).
        slopes: (..., POINTS - 1).
    """
    flux = (k[..., 1:] + k[..., :-1]) / 2 * slopes
    return -np.diff(flux, axis=-1) / STEP


def force(k: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Give the force that holds u in k, -(k u')', at the inner points."""
    return divergence(k, np.diff(u, axis=-1) / STEP)


def respond(k: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Solve to first order in k's departure from its mean, as the method of moments does.

    -(k0 v')' = ((k - k0) u0')', where u0 solves the equation with the mean k0; u = u0 + v. By
    flux: k0 v' = -(k - k0) u0' + c, with c from v(1) = 0.

    Args:
        k: (samples, POINTS).
        means: k0, (POINTS).
    """
    u0 = solve(means)
    c = integral(X / means)[-1] / integral(1 / means)[-1]
    pull = -(k - means) / means * ((c - X) / means)
    constant = -integral(pull)[..., -1:] / integral(1 / means)[-1]
    return u0 + integral(pull + constant / means)


def correlation_length(values: np.ndarray) -> float:
    """Integrate the correlation of fields (samples, POINTS) over distances from 0 to 1.

    The correlation at a distance is the mean over all pairs of points that far apart; where a field
    does not vary it is zero.
    """
    normal = values - values.mean(axis=0)
    normal /= np.maximum(normal.std(axis=0), 1e-9)
    correlation = normal.T @ normal / len(values)
    along = [np.diagonal(correlation, offset).mean() for offset in range(POINTS // 2 + 1)]
    return float(np.trapezoid(along, dx=STEP))
