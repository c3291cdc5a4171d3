"""Volumes of synthetic neurites that touch, as an electron microscope sees them, and their labels.

They stand in for the brain tissue of Januszewski et al. 2018 (arXiv:1611.00421): bundles of wavy
tubes, so close that they deform each other; each voxel is of the one whose middle is nearest, in
radii. Where two touch there is a membrane, dark and a voxel or two wide, with gaps where the stain
failed: nothing local tells a gap from an inside, only the shape around does. Dark organelles float
in the tubes, and everything is seen with noise. Lengths are in voxels of a coarse volume; a finer
one has `scale` voxels for each. The files have the layout of the authors' own: grey values `raw`
around 128, and numbers of objects `stack`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

import h5py
import numpy as np
import torch
from shards import stored
from torch import nn

# The bundle: between middles, and how far each is off; the slope against an axis of the volume.
SPACING, JITTER, SLOPE = 6.5, 1.0, 0.3
RADIUS = (3.2, 4.2)
# How far a neurite leaves its line, by which part it becomes thicker, and over which length.
BEND, VARICOSITY, WAVE = 1.5, 0.2, 24.0
# How much farther than the nearest middle the next is, at most, within a membrane: in radii.
MEMBRANE = 0.4
# Which part of membranes is missing, and how wide gaps are.
GAPS, GAP_WIDTH = 0.06, 2.5
ORGANELLES, ORGANELLE = 6, (1.0, 1.8)
# Grey values: the mean and spread that the authors normalise by, and the noise.
GREY, CONTRAST, NOISE = 128.0, 33.0, 23.0
# What has fewer voxels is no object: edges that neurites touch.
LEAST = 40
SAMPLES_PER_FILE = 64


def distances(size: int, scale: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a bundle; give how far voxels are from each middle, in radii: (neurites, z, y, x)."""
    width = size / scale
    number = round(width / SPACING) + 2
    grid = np.mgrid[:number, :number].reshape(2, -1, 1) - (number - 1) / 2
    middles = width / 2 + SPACING * grid + rng.uniform(-JITTER, JITTER, grid.shape)
    along = np.arange(size) / scale
    waves = np.sin(2 * np.pi / WAVE * along + rng.uniform(0, 2 * np.pi, (3, number**2, 1)))
    slopes = rng.uniform(-SLOPE, SLOPE, (2, 1, 1)) * (along - width / 2)
    y, x = along - (middles + slopes + BEND * waves[:2])[..., None]
    radii = rng.uniform(*RADIUS, (number**2, 1)) * (1 + VARICOSITY * waves[2])
    y, x = (np.square(off / radii[..., None]).astype(np.float32) for off in (y, x))
    return np.sqrt(y[..., None] + x[..., None, :])


@lru_cache(maxsize=2)
def smoothing(size: int, width: float) -> np.ndarray:
    """Give a Gaussian of some width by wave number, as `rfftn` has them."""
    k, half = np.fft.fftfreq(size) ** 2, np.fft.rfftfreq(size) ** 2
    squared = k[:, None, None] + k[:, None] + half
    found: np.ndarray = np.exp(-2 * (np.pi * width) ** 2 * squared)
    return found


def gaps(size: int, scale: int, rng: np.random.Generator) -> np.ndarray:
    """Draw where a membrane would be missing: smooth blobs, which fill GAPS of a volume."""
    noise = np.fft.rfftn(rng.standard_normal((size,) * 3))
    field = np.fft.irfftn(noise * smoothing(size, GAP_WIDTH * scale))
    blobs: np.ndarray = field < NormalDist().inv_cdf(GAPS) * field.std()
    return blobs


def organelle(size: int, scale: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a small ball anywhere in a volume."""
    z, y, x = (np.arange(size) / scale - rng.uniform(0, size / scale, (3, 1))) ** 2
    ball: np.ndarray = z[:, None, None] + y[:, None] + x < rng.uniform(*ORGANELLE) ** 2
    return ball


def volume(seed: int, index: int, size: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw sample `index` of the endless set `seed`.

    Returns:
        Grey values and numbers of objects, 0 outside of any, both (size, size, size) and uint8.
    """
    rng = np.random.default_rng([seed, index])
    away = distances(size, scale, rng)
    nearest = away.argmin(axis=0)[None]
    first = np.take_along_axis(away, nearest, axis=0)[0]
    np.put_along_axis(away, nearest, np.inf, axis=0)
    second = away.min(axis=0)
    inside = (first < 1) & (second - first >= MEMBRANE)
    bright = inside | ((first < 1) & gaps(size, scale, rng))
    for _ in range(ORGANELLES):
        bright &= ~organelle(size, scale, rng)
    grey = GREY + CONTRAST * (2.0 * bright - 1) + NOISE * rng.standard_normal(bright.shape)
    labels = numbered(np.where(inside, 1 + nearest[0], 0), LEAST * scale**3)
    axes = rng.permutation(3)
    return (
        np.rint(grey).clip(0, 255).astype(np.uint8).transpose(axes),
        labels.astype(np.uint8).transpose(axes),
    )


def numbered(labels: np.ndarray, least: int) -> np.ndarray:
    """Number objects anew, 1, 2, 3 and so on; those of fewer voxels than `least` become 0."""
    kept = np.bincount(labels.ravel()) >= least
    kept[0] = False
    new: np.ndarray = (np.cumsum(kept) * kept)[labels]
    return new


def components(mask: np.ndarray, least: int) -> np.ndarray:
    """Number the connected components of a mask (z, y, x) that have `least` voxels.

    Each voxel takes the highest index next to it, and all that had its own follow that one further.
    """
    inside = torch.from_numpy(mask).double()
    index = torch.arange(1.0, mask.size + 1, dtype=torch.float64).view(mask.shape) * inside
    while True:
        sides = [
            nn.functional.max_pool3d(index[None], width, 1, [w // 2 for w in width])[0]
            for width in ((3, 1, 1), (1, 3, 1), (1, 1, 3))
        ]
        higher = torch.stack(sides).amax(dim=0) * inside
        leads = torch.zeros(mask.size + 1, dtype=torch.float64)
        leads.scatter_reduce_(0, index.long().flatten(), higher.flatten(), "amax")
        higher = leads[leads.long()][index.long()] * inside
        if torch.equal(higher, index):
            return numbered(index.long().numpy(), least)
        index = higher


def write(file: Path, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write samples to an HDF5 file."""
    with h5py.File(file.with_suffix(".h5"), "w") as h5:
        h5["raw"], h5["stack"] = (np.stack(part) for part in zip(*samples, strict=True))


class Files:
    """Samples in files of SAMPLES_PER_FILE, read when asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Open all files."""
        self._files = [h5py.File(file) for file in files]

    def read(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Give grey values and numbers of objects (samples, z, y, x)."""
        places = [divmod(index, SAMPLES_PER_FILE) for index in indices]
        raw, stack = (
            np.stack([self._files[file][name][row] for file, row in places])
            for name in ("raw", "stack")
        )
        return raw, stack

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


@contextmanager
def volumes(seed: int, count: int, size: int, scale: int, rank: int, world: int) -> Iterator[Files]:
    """Write the first `count` volumes, each rank its share of files, for all ranks to read."""

    def write_some(file: Path, indices: range) -> None:
        write(file, [volume(seed, i, size, scale) for i in indices])

    with stored(count, SAMPLES_PER_FILE, write_some, rank, world) as made:
        files = Files(made)
        yield files
        files.close()
