"""Calorimeter images of synthetic collisions: two heavy particles, each three jets, or only QCD.

They stand in for the search for R-parity-violating gluinos of Kurth et al. 2017 (arXiv:1708.05256).
Every jet radiates as QCD does in the soft and collinear limit, dP ~ dz/z dtheta/theta; a gluino of
mass m and transverse momentum pt decays to three prongs some 2 m / pt apart. Both kinds have the
same number of jets and the same total energy, so only the jets' insides tell them apart. Momenta
are in TeV. The files have the layout of NERSC's data set: `all_events/{hist,y,weight}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch
from shards import stored
from torch import Tensor, nn

ETA_REACH = 2.5
MASS = 0.2
# A TeV radiates, and makes hadrons, the same in one jet or three: counting them tells nothing.
EMISSIONS_PER_TEV = 6.0
HADRONS_PER_TEV = 150.0
SOFTEST, HARDEST = 0.02, 0.5
NARROWEST, WIDEST = 0.05, 0.6
HADRON_SPREAD = 0.04
# What becomes of a hadron: a charged one leaves a track and goes on to the hadronic calorimeter.
CHARGED, PHOTON = 0.6, 0.25
PILE_UP, PILE_UP_MOMENTUM = 60, 0.001
EVENTS_PER_FILE = 512
LEAST_JET = 0.05

Particles = np.ndarray
"""Rows of transverse momentum, eta and phi."""


def log_uniform(low: float, high: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw from dP ~ dx/x."""
    drawn: np.ndarray = low * (high / low) ** rng.random(count)
    return drawn


def decay(particle: np.ndarray, rng: np.random.Generator) -> Particles:
    """Split a gluino into three prongs around its direction."""
    parts = rng.dirichlet([3.0, 3.0, 3.0])
    apart = rng.standard_normal((3, 2)) * MASS / particle[0]
    return np.column_stack([particle[0] * parts, particle[1:] + apart - parts @ apart])


def radiate(prongs: Particles, rng: np.random.Generator) -> Particles:
    """Let every prong lose soft and collinear gluons."""
    mother = np.repeat(np.arange(len(prongs)), rng.poisson(EMISSIONS_PER_TEV * prongs[:, 0]))
    z = log_uniform(SOFTEST, HARDEST, len(mother), rng)
    angle, around = log_uniform(NARROWEST, WIDEST, len(mother), rng), rng.random(len(mother))
    gluons = prongs[mother]
    gluons[:, 0] *= z
    gluons[:, 1] += angle * np.cos(2 * np.pi * around)
    gluons[:, 2] += angle * np.sin(2 * np.pi * around)
    partons = np.concatenate([prongs, gluons])
    family = np.append(np.arange(len(prongs)), mother)
    partons[:, 0] *= prongs[family, 0] / np.bincount(family, partons[:, 0])[family]
    return partons


def hadronise(partons: Particles, rng: np.random.Generator) -> Particles:
    """Turn every parton into some hadrons close by, and add pile-up from everywhere."""
    parton = np.repeat(np.arange(len(partons)), 1 + rng.poisson(HADRONS_PER_TEV * partons[:, 0]))
    hadrons = partons[parton]
    parts = rng.exponential(size=len(parton))
    hadrons[:, 0] *= parts / np.bincount(parton, parts)[parton]
    hadrons[:, 1:] += HADRON_SPREAD * rng.standard_normal((len(hadrons), 2))
    pile_up = rng.uniform(-1, 1, (rng.poisson(PILE_UP), 3)) * [0, ETA_REACH, np.pi]
    pile_up[:, 0] = rng.exponential(PILE_UP_MOMENTUM, len(pile_up))
    return np.concatenate([hadrons, pile_up])


def image(hadrons: Particles, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Give (pixels, pixels, 3) in eta and phi: energy in both calorimeters, number of tracks."""
    energy, eta, phi = hadrons.T
    kind = rng.random(len(hadrons))
    layer = np.where((kind > CHARGED) & (kind < CHARGED + PHOTON), 0, 1)
    row = np.floor((eta + ETA_REACH) / (2 * ETA_REACH) * pixels).astype(int)
    column = np.floor(phi / (2 * np.pi) * pixels).astype(int) % pixels
    inside = (row >= 0) & (row < pixels)
    found = np.zeros((pixels, pixels, 3), dtype=np.float32)
    np.add.at(found, (row[inside], column[inside], layer[inside]), energy[inside])
    tracks = inside & (kind < CHARGED)
    np.add.at(found, (row[tracks], column[tracks], 2), 1)
    return found


def event(seed: int, index: int, pixels: int) -> tuple[np.ndarray, float]:
    """Draw event `index` of the endless set `seed`: its image, and 1 for gluinos, 0 for QCD."""
    rng = np.random.default_rng([seed, index])
    label = rng.integers(2)
    jets = 2 + rng.poisson(1.5)
    pt = np.sort(rng.dirichlet(np.full(jets, 2.0)))[::-1] * (1 + rng.exponential(0.3))
    particles = np.column_stack(
        [pt, rng.uniform(-1.6, 1.6, jets), rng.uniform(-np.pi, np.pi, jets)]
    )
    if label:
        gluinos = [decay(particle, rng) for particle in particles[:2]]
        particles = np.concatenate([*gluinos, particles[2:]])
    return image(hadronise(radiate(particles, rng), rng), pixels, rng), float(label)


def write(file: Path, seed: int, indices: Sequence[int], pixels: int) -> None:
    """Write events to an HDF5 file; most pixels are empty, so it is a tenth of their size."""
    with h5py.File(file, "w") as h5:
        group = h5.create_group("all_events")
        shape = (len(indices), pixels, pixels, 3)
        hist = group.create_dataset(
            "hist", shape, "f4", chunks=(1, *shape[1:]), compression="lzf", shuffle=True
        )
        labels = group.create_dataset("y", len(indices), "f4")
        group["weight"] = np.ones(len(indices), np.float32)
        for row, index in enumerate(indices):
            hist[row], labels[row] = event(seed, index, pixels)


class Files:
    """Events in files of EVENTS_PER_FILE."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Open all files."""
        self._files = [h5py.File(file) for file in files]

    def read(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Give images (events, pixels, pixels, 3) and labels (events)."""
        places = [divmod(index, EVENTS_PER_FILE) for index in indices]
        groups = [(self._files[file]["all_events"], row) for file, row in places]
        images = np.stack([group["hist"][row] for group, row in groups])
        return images, np.array([group["y"][row] for group, row in groups])

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


@contextmanager
def events(seed: int, count: int, pixels: int, rank: int, world: int) -> Iterator[Files]:
    """Write the first `count` events, each rank its share of files, for all ranks to read."""

    def write_some(file: Path, indices: range) -> None:
        write(file.with_suffix(".h5"), seed, indices, pixels)

    with stored(count, EVENTS_PER_FILE, write_some, rank, world) as made:
        files = Files(made)
        yield files
        files.close()


def windows(fields: Tensor, cells: int) -> Tensor:
    """Sum fields (..., pixels, pixels) over a square of `cells` around each pixel; odd `cells`."""
    for axis in (-2, -1):
        until = fields.cumsum(axis)
        upper = until.narrow(axis, cells - 1, until.shape[axis] - cells + 1)
        before = until - fields
        fields = upper - before.narrow(axis, 0, upper.shape[axis])
    return fields


def jets_and_mass(images: Tensor) -> np.ndarray:
    """Give what a physicist cuts on: the number of narrow jets, and the sum of wide jets' masses.

    A jet is a window with more energy, towards its middle, than any whose middle it contains. For
    massless particles at small angles m^2 = sum(e) sum(e r^2) - |sum(e r)|^2.

    Args:
        images: energies and tracks (events, 3, pixels, pixels), in TeV.
    """
    narrow, wide = (jets(images[:, :2].sum(dim=1, keepdim=True), r) for r in (0.3, 0.9))
    return np.column_stack([narrow[0].numpy(), wide[1].numpy()])


def jets(towers: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Find jets of half-width `reach` in towers (events, 1, pixels, pixels): number, sum of masses.

    Phi is a circle; nothing lies beyond the ends of eta.
    """
    pixels = towers.shape[-1]
    half = round(reach * pixels / (2 * np.pi))
    cells = 2 * half + 1
    padded = nn.functional.pad(towers, (half, half, 0, 0), mode="circular")
    padded = nn.functional.pad(padded, (0, 0, half, half))
    position = torch.arange(-half, pixels + half)
    x = (position * 2 * ETA_REACH / pixels)[:, None]
    y = (position * 2 * np.pi / pixels)[None, :]
    moments = [padded, padded * x, padded * y, padded * (x**2 + y**2)]
    energy, ex, ey, err = windows(torch.cat(moments, dim=1), cells).unbind(dim=1)
    x, y = x[half : pixels + half], y[:, half : pixels + half]
    about_middle = err - 2 * (x * ex + y * ey) + (x**2 + y**2) * energy
    peak = energy - about_middle / (2 * reach**2)
    around = nn.functional.pad(peak[:, None], (half, half, 0, 0), mode="circular")
    highest = nn.functional.max_pool2d(around, (1, cells), stride=1)
    highest = nn.functional.max_pool2d(highest, (cells, 1), stride=1, padding=(half, 0))
    jet = (peak == highest[:, 0]) & (energy > LEAST_JET)
    mass = (energy * err - ex**2 - ey**2).clamp(min=0).sqrt()
    return jet.sum(dim=(1, 2)), (jet * mass).sum(dim=(1, 2))
