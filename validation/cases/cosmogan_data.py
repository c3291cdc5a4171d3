"""Synthetic maps of weak gravitational lensing: log-normal fields of known power spectrum.

The distribution of convergence is close to a shifted log-normal one (Taruya et al. 2002,
arXiv:astro-ph/0202090). Lengths are in pixels, k in units of the map's fundamental frequency.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# Of the Gaussian field whose exponential is the map: its spread, and its spectrum's slope.
SPREAD, SLOPE = 0.5, -1.0


@lru_cache(maxsize=2)
def wavenumbers(pixels: int) -> np.ndarray:
    """Give |k| of each mode of `rfft2` of a map."""
    k: np.ndarray = np.hypot(
        np.fft.fftfreq(pixels, 1 / pixels)[:, None], np.fft.rfftfreq(pixels, 1 / pixels)
    )
    return k


@lru_cache(maxsize=2)
def amplitudes(pixels: int) -> np.ndarray:
    """Give the square roots of a power-law spectrum that makes the field's variance SPREAD^2."""
    k = wavenumbers(pixels)
    with np.errstate(divide="ignore"):
        power = k**SLOPE
    power[0, 0] = 0.0
    found: np.ndarray = SPREAD * np.sqrt(power / average(power))
    return found


def average(modes: np.ndarray) -> float:
    """Give the mean over all modes of a real map, of which `rfft2` stores a half."""
    pixels = len(modes)
    weight = np.full(modes.shape, 2.0)
    weight[:, [0, -1]] = 1.0
    return float((modes * weight).sum() / pixels**2)


def gaussian(roots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian field, given the square roots of its spectrum."""
    pixels = len(roots)
    noise = np.fft.rfft2(rng.standard_normal((pixels, pixels)))
    field: np.ndarray = np.fft.irfft2(noise * roots, s=(pixels, pixels))
    return field


def convergence(seed: int, index: int, pixels: int) -> np.ndarray:
    """Draw map `index` of the endless set `seed`: (pixels, pixels), float32, mean 0, variance 1."""
    field = gaussian(amplitudes(pixels), np.random.default_rng([seed, index, 0]))
    # Of exp(g): the mean is exp(s^2 / 2), the variance exp(s^2) (exp(s^2) - 1).
    standard = (np.exp(field - SPREAD**2 / 2) - 1) / np.sqrt(np.expm1(SPREAD**2))
    return standard.astype(np.float32)


def modes(maps: np.ndarray) -> np.ndarray:
    """Give the power of each mode of maps (..., pixels, pixels), as `rfft2` stores them."""
    power: np.ndarray = np.abs(np.fft.rfft2(maps)) ** 2 / maps.shape[-1] ** 2
    return power


def spectra(maps: np.ndarray) -> np.ndarray:
    """Measure P(k) of maps (..., pixels, pixels) in rings of width 1 for k = 1 ... pixels/2 - 1.

    White noise of variance 1 has P = 1.
    """
    pixels = maps.shape[-1]
    power = modes(maps)
    ring = np.rint(wavenumbers(pixels)).astype(int).ravel()
    # The half-plane of a real map: all columns but the first and the last count for two.
    weight = np.full(power.shape[-2:], 2.0)
    weight[:, [0, -1]] = 1.0
    rings = np.eye(ring.max() + 1)[ring] * weight.reshape(-1, 1)
    found: np.ndarray = power.reshape(*maps.shape[:-2], -1) @ (rings / rings.sum(axis=0))
    return found[..., 1 : pixels // 2]


def distance(some: np.ndarray, others: np.ndarray) -> float:
    """Give the statistic of Kolmogorov and Smirnov: how far two distributions' integrals differ."""
    both = np.concatenate([some.ravel(), others.ravel()])
    order = np.argsort(both, kind="stable")
    step = np.where(order < some.size, 1 / some.size, -1 / others.size)
    last_of_equals = np.append(np.diff(both[order]) != 0, True)
    return float(np.abs(np.cumsum(step)[last_of_equals]).max())


def spacing(maps: np.ndarray) -> float:
    """Give how far maps (samples, pixels, pixels) lie from their nearest neighbours, in the mean.

    Few maps drawn often betray themselves by duplicates, as birthdays do (Arora and Zhang 2017,
    arXiv:1706.08224).
    """
    flat = maps.reshape(len(maps), -1).astype(float)
    squares = np.square(flat).sum(axis=1)
    apart = squares[:, None] + squares - 2 * flat @ flat.T
    np.fill_diagonal(apart, np.inf)
    return float(np.sqrt(apart.min(axis=1).clip(min=0)).mean())
