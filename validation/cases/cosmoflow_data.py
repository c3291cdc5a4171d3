"""Density cubes of known cosmology: random fields drawn from parameters that a model must recover.

The cubes stand in for the N-body simulations of CosmoFlow (Mathuriya et al. 2018,
arXiv:1808.04728): a Gaussian random field g with the power spectrum P(k) = A (k / k0)^n, made
non-Gaussian by the local quadratic model x = g + f (g^2 - <g^2>) (Komatsu & Spergel 2001,
arXiv:astro-ph/0005036). Lengths are in cells, k in units of the cube's fundamental frequency. The
files are TFRecords of examples with the features of MLPerf HPC's data set: `x`, a cube with its
channels last, in float32 (counts of particles in int16 there), and `y`, its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import tfexample
import tfrecord

PARAMETERS = ("log amplitude", "tilt", "non-Gaussianity")
# What the labels -1 and +1 stand for: ln A, n and f.
LOW = np.array([-0.7, -1.5, -0.3])
HIGH = np.array([0.7, 0.5, 0.3])
SAMPLES_PER_FILE = 512


@lru_cache(maxsize=2)
def wavenumbers(cells: int) -> np.ndarray:
    """Give |k| of each mode of `rfftn` of a cube with `cells` cells a side."""
    full = np.fft.fftfreq(cells, 1 / cells)
    half = np.fft.rfftfreq(cells, 1 / cells)
    k: np.ndarray = np.sqrt(full[:, None, None] ** 2 + full[:, None] ** 2 + half**2)
    return k


def pivot(cells: int) -> float:
    """Give k0, the scale where the amplitude is told: amid the modes, so that A and n decouple."""
    return cells / 4


def physical(labels: np.ndarray) -> np.ndarray:
    """Turn labels in [-1, 1] into (ln A, n, f)."""
    return LOW + (labels + 1) / 2 * (HIGH - LOW)


def density_cube(labels: np.ndarray, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one cube of shape (cells, cells, cells), float32, from labels of shape (3,)."""
    log_amplitude, tilt, nonlinearity = physical(labels)
    k = wavenumbers(cells)
    with np.errstate(divide="ignore"):
        power = np.exp(log_amplitude) * (k / pivot(cells)) ** tilt
    power[0, 0, 0] = 0.0
    noise = np.fft.rfftn(rng.standard_normal((cells, cells, cells)))
    gaussian = np.fft.irfftn(noise * np.sqrt(power), s=(cells,) * 3)
    squared = gaussian**2
    cube: np.ndarray = gaussian + nonlinearity * (squared - squared.mean())
    return cube.astype(np.float32)


def sample(seed: int, index: int, cells: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Give sample `index` of the endless set `seed`, the same on every rank and machine.

    Returns:
        A cube of shape (channels, cells, cells, cells), one independent field a channel, and its
        labels of shape (3,), uniform in [-1, 1]; both float32.
    """
    rng = np.random.default_rng([seed, index])
    labels = rng.uniform(-1, 1, len(PARAMETERS))
    cube = np.stack([density_cube(labels, cells, rng) for _ in range(channels)])
    return cube, labels.astype(np.float32)


def samples(
    seed: int, indices: Iterable[int], cells: int, channels: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Stack the samples of the given indices: cubes (count, channels, ...), labels (count, 3)."""
    cubes, labels = zip(*(sample(seed, i, cells, channels) for i in indices), strict=True)
    return np.stack(cubes), np.stack(labels)


def write(file: Path, drawn: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write samples, each a cube (channels, cells^3) and its labels (3), to a TFRecord file."""
    records = (
        tfexample.encode({"x": np.moveaxis(cube, 0, -1).tobytes(), "y": labels})
        for cube, labels in drawn
    )
    tfrecord.write(file.with_suffix(".tfrecord"), records)


def parsed(records: Sequence[bytes], cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the cubes and labels of some records, as they were written."""
    examples = [tfexample.decode(record) for record in records]
    flat = np.stack([np.frombuffer(example["x"], np.float32) for example in examples])
    # A copy, even of one channel: strides of whatever size would make torch think it comes last.
    cubes = np.moveaxis(flat.reshape(len(flat), cells, cells, cells, -1), -1, 1).copy()
    return cubes, np.stack([example["y"] for example in examples])


def power_spectrum(cube: np.ndarray) -> np.ndarray:
    """Measure P(k) in shells of width 1 for k = 1 ... cells/2; white noise of variance 1 has P = 1.

    Args:
        cube: shape (cells, cells, cells).
    """
    cells = cube.shape[-1]
    power = np.abs(np.fft.rfftn(cube)) ** 2 / cube.size
    shell = np.rint(wavenumbers(cells)).astype(int).ravel()
    # The half-space of a real field: all planes but the first and the last count for two.
    weight = np.full(power.shape, 2.0)
    weight[..., [0, -1]] = 1.0
    total = np.bincount(shell, (power * weight).ravel())
    count = np.bincount(shell, weight.ravel())
    spectrum: np.ndarray = (total / count)[1 : cells // 2 + 1]
    return spectrum


def spectrum_features(cubes: np.ndarray) -> np.ndarray:
    """Give what the classical baseline sees: ln P(k), averaged over channels, and a constant.

    Args:
        cubes: shape (count, channels, cells, cells, cells).

    Returns:
        Shape (count, cells/2 + 1).
    """
    spectra = [np.mean([power_spectrum(field) for field in channels], axis=0) for channels in cubes]
    return np.column_stack([np.log(spectra), np.ones(len(spectra))])


def fit_linear(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fit `features @ weights = labels` by least squares; the weights."""
    weights: np.ndarray = np.linalg.lstsq(features, labels, rcond=None)[0]
    return weights
