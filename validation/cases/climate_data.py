"""Synthetic weather with vortices and atmospheric rivers, and masks that say where they are.

It stands in for the climate simulations of Kurth et al. 2018 (arXiv:1810.01993): a turbulent
background of wind, pressure and water vapour; cyclones, whose wind circles about a low; and rivers,
long and narrow bands of vapour that flow along themselves. What only looks like them is there as
well: anticyclones, lows without wind, round clouds of vapour. Lengths are in rows of the grid's
height. The files have the layout of DeepCAM (`climate/{data,labels_0}`), many samples to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

CLASSES = ("background", "vortices", "rivers")
FIELDS = ("vapour", "eastward wind", "northward wind", "pressure")
BACKGROUND_SLOPE = -3.0
NOISE = 0.15
VORTICES, RIVERS, DECOYS = 1.5, 1.2, 1.5
SAMPLES_PER_FILE = 64


class Grid(NamedTuple):
    """Rows and columns of a field."""

    rows: int
    columns: int


@lru_cache(maxsize=2)
def places(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Give y and x of all points, in heights of the grid."""
    return tuple(np.mgrid[: grid.rows, : grid.columns] / grid.rows)


@lru_cache(maxsize=2)
def roots(grid: Grid) -> np.ndarray:
    """Give the square roots of a power law k^BACKGROUND_SLOPE of unit variance."""
    k = np.hypot(np.fft.fftfreq(grid.rows)[:, None], np.fft.rfftfreq(grid.columns))
    with np.errstate(divide="ignore"):
        power = k**BACKGROUND_SLOPE
    power[0, 0] = 0.0
    weight = np.full(power.shape, 2.0)
    weight[:, [0, -1]] = 1.0
    found: np.ndarray = np.sqrt(power * grid.rows * grid.columns / (power * weight).sum())
    return found


def turbulence(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth field of unit variance."""
    noise = np.fft.rfft2(rng.standard_normal(grid))
    field: np.ndarray = np.fft.irfft2(noise * roots(grid), s=grid)
    return field


def add_vortex(
    fields: np.ndarray, rng: np.random.Generator, sense: float, wind: float
) -> np.ndarray:
    """Add a Gaussian low with wind around it; gives the mask of its inner part.

    Args:
        fields: (FIELDS, rows, columns), changed.
        sense: 1 for a low with wind to the left around it, -1 for its mirror image.
        wind: how much of a cyclone's wind it has.
    """
    grid = Grid(*fields.shape[1:])
    y, x = places(grid)
    radius, strength = rng.uniform(0.07, 0.14), rng.uniform(1.2, 3.0)
    dy, dx = y - rng.uniform(0, 1), x - rng.uniform(0, grid.columns / grid.rows)
    squared = (dy**2 + dx**2) / radius**2
    inside = np.exp((1 - squared) / 2)
    fields[3] -= sense * strength * inside
    fields[1] -= sense * wind * strength * dy / radius * inside
    fields[2] += sense * wind * strength * dx / radius * inside
    fields[0] += 0.5 * strength * inside * (sense > 0)
    return squared < 1.0


def add_river(fields: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a band of vapour along a parabola, and wind along it; gives its mask.

    Args:
        fields: (FIELDS, rows, columns), changed.
    """
    grid = Grid(*fields.shape[1:])
    y, x = places(grid)
    length, width = rng.uniform(0.5, 1.0), rng.uniform(0.03, 0.05)
    along = x - rng.uniform(0, grid.columns / grid.rows - length / 2)
    slope, bend = rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6)
    curve = rng.uniform(0.2, 0.8) + slope * (along - length / 2) + bend * (along - length / 2) ** 2
    steep = slope + 2 * bend * (along - length / 2)
    across = (y - curve) / np.sqrt(1 + steep**2) / width
    ends = np.maximum(np.abs(along - length / 2) - length / 2, 0) / width
    strength = rng.uniform(1.2, 2.5)
    band = strength * np.exp(-(across**2 + ends**2) / 2)
    fields[0] += band
    fields[1] += 0.5 * band / np.sqrt(1 + steep**2)
    fields[2] += 0.5 * band * steep / np.sqrt(1 + steep**2)
    return across**2 + ends**2 < 1.5**2


def add_cloud(fields: np.ndarray, rng: np.random.Generator) -> None:
    """Add a round cloud of vapour, which is no river, to fields (FIELDS, rows, columns)."""
    grid = Grid(*fields.shape[1:])
    y, x = places(grid)
    dy, dx = y - rng.uniform(0, 1), x - rng.uniform(0, grid.columns / grid.rows)
    radius, strength = rng.uniform(0.06, 0.12), rng.uniform(1.2, 2.5)
    fields[0] += strength * np.exp(-(dy**2 + dx**2) / (2 * radius**2))


def weather(seed: int, index: int, grid: Grid, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw sample `index` of the endless set `seed`.

    Further channels see the four fields weaker, as other levels of the atmosphere do.

    Returns:
        Fields (channels, rows, columns), float32, and classes (rows, columns), uint8.
    """
    rng = np.random.default_rng([seed, index])
    fields = np.stack([turbulence(grid, rng) for _ in FIELDS])
    fields[0] += np.sin(np.pi * places(grid)[0])
    labels = np.zeros(grid, np.uint8)
    for _ in range(rng.poisson(DECOYS)):
        add_cloud(fields, rng)
        add_vortex(fields, rng, sense=-1.0, wind=1.0)
        add_vortex(fields, rng, sense=1.0, wind=0.0)
    for _ in range(rng.poisson(RIVERS)):
        labels[add_river(fields, rng)] = 2
    for _ in range(rng.poisson(VORTICES)):
        labels[add_vortex(fields, rng, sense=1.0, wind=1.0)] = 1
    level = np.arange(channels) // len(FIELDS)
    seen = fields[np.arange(channels) % len(FIELDS)] * 0.8 ** level[:, None, None]
    return (seen + NOISE * rng.standard_normal(seen.shape)).astype(np.float32), labels


def write(file: Path, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write samples to an HDF5 file, channels last."""
    data, labels = (np.stack(part) for part in zip(*samples, strict=True))
    with h5py.File(file.with_suffix(".h5"), "w") as h5:
        group = h5.create_group("climate")
        group["data"], group["labels_0"] = np.moveaxis(data, 1, -1), labels


class Files:
    """Samples in HDF5 files, read when asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Open all files."""
        self._files = [h5py.File(file) for file in files]

    def read(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Give fields (samples, channels, rows, columns) and classes (samples, rows, columns)."""
        places = [divmod(index, SAMPLES_PER_FILE) for index in indices]
        groups = [(self._files[file]["climate"], row) for file, row in places]
        data = np.stack([np.moveaxis(group["data"][row], -1, 0) for group, row in groups])
        return data, np.stack([group["labels_0"][row] for group, row in groups])

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
