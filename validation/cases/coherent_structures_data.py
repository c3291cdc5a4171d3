"""A flow of known vortices between eddies that look like them, but do not last.

Vortices are Lamb and Oseen's, w = G / (pi a^2) exp(-r^2 / a^2), whose cores a^2 = a0^2 + 4 nu t
spread by viscosity; each moves with the flow of all others (Kirchhoff's equations; Saffman 1992,
"Vortex Dynamics", chapters 7 and 13). The eddies are the linear stochastic model of turbulence
(DelSole 2004, "Stochastic models of quasigeostrophic turbulence"): each wave number is forced at
random and damped, an Ornstein-Uhlenbeck process. At any moment they look like weaker vortices,
which outlast them. That both leave each other alone is what makes the truth exact. The plane is
periodic; lengths are in cells, and a vortex' vorticity is about one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Of time, between frames: a vortex moves a third of a cell, an eddy keeps a fifth of itself.
STEP = 0.3
VORTICES = (2, 7)
CORE, PEAK = (2.5, 4.0), (1.2, 2.0)
# Wind around a vortex is fastest at this many core radii: within is what counts as vortex.
FASTEST = 1.1209
VISCOSITY = 0.05
EDDIES, EDDY_LENGTH, EDDY_SPREAD, EDDY_LIFE = 0.35, 12.0, 0.25, 0.2
NOISE = 0.25


class Grid(NamedTuple):
    """Rows and columns of a field."""

    rows: int
    columns: int


class Vortices(NamedTuple):
    """Centres (number, 2) as y and x, circulations and core radii at some time."""

    centres: np.ndarray
    circulations: np.ndarray
    cores: np.ndarray


def apart(one: np.ndarray, other: np.ndarray, size: np.ndarray | int) -> np.ndarray:
    """Give one - other by the shortest way around a plane of some size."""
    shortest: np.ndarray = (one - other + size / 2) % size - size / 2
    return shortest


def drift(vortices: Vortices, grid: Grid) -> np.ndarray:
    """Give the velocities of the centres (number, 2): each in the flow of all others."""
    away = apart(vortices.centres[:, None], vortices.centres, np.array(grid))
    squared = (away**2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    turn = -np.expm1(-squared / vortices.cores**2) * vortices.circulations / (2 * np.pi * squared)
    return np.stack([(turn * away[..., 1]).sum(axis=1), -(turn * away[..., 0]).sum(axis=1)], axis=1)


def moved(vortices: Vortices, grid: Grid, time: float) -> Vortices:
    """Give the vortices a while later, by one step of the midpoint rule."""
    half = vortices._replace(centres=vortices.centres + time / 2 * drift(vortices, grid))
    return vortices._replace(
        centres=vortices.centres + time * drift(half, grid),
        cores=np.sqrt(vortices.cores**2 + 4 * VISCOSITY * time),
    )


def cores_of(vortices: Vortices, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Give the vorticity (rows, columns), and the mask of what lies within a core's radius."""
    squared = [
        apart(np.arange(size)[:, None], centres, size) ** 2 / vortices.cores**2
        for size, centres in zip(grid, vortices.centres.T, strict=True)
    ]
    peaks = vortices.circulations / (np.pi * vortices.cores**2)
    across, along = (np.exp(-part) for part in squared)
    inside = squared[0][:, None] + squared[1] < FASTEST**2
    return (peaks * across) @ along.T, inside.any(axis=2)


@lru_cache(maxsize=2)
def amplitudes(grid: Grid) -> np.ndarray:
    """Give the eddies' standard deviations by wave number, as `rfft2` has them."""
    ky, kx = np.fft.fftfreq(grid.rows)[:, None], np.fft.rfftfreq(grid.columns)
    off = np.hypot(ky, kx) * EDDY_LENGTH - 1
    power = np.exp(-(off**2) / (2 * EDDY_SPREAD**2))
    power[0, 0] = 0.0
    weight = np.full(power.shape, 2.0)
    weight[:, [0, -1]] = 1.0
    found: np.ndarray = EDDIES * np.sqrt(power * grid.rows * grid.columns / (power * weight).sum())
    return found


def eddies(grid: Grid, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the vorticity of turbulence at rest with its forcing: (frames, rows, columns)."""
    kept = np.exp(-STEP / EDDY_LIFE)
    forced = amplitudes(grid) * np.fft.rfft2(rng.standard_normal((frames, *grid)))
    modes = [forced[0]]
    for force in forced[1:]:
        modes.append(kept * modes[-1] + np.sqrt(1 - kept**2) * force)
    field: np.ndarray = np.fft.irfft2(np.stack(modes), s=grid)
    return field


def flow(
    seed: int, index: int, grid: Grid, past: int, future: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw sample `index` of the endless set `seed`.

    Returns:
        Vorticity, seen with noise, in `past` frames, now and in `future` frames (frames, rows,
        columns), float32; and where vortices are now (rows, columns), uint8.
    """
    rng = np.random.default_rng([seed, index])
    number = rng.integers(*VORTICES)
    cores = rng.uniform(*CORE, number)
    peaks = rng.choice([-1, 1], number) * rng.uniform(*PEAK, number)
    vortices = Vortices(rng.uniform(0, grid, (number, 2)), np.pi * cores**2 * peaks, cores)
    frames = past + 1 + future
    fields, masks = [], []
    for _ in range(frames):
        field, mask = cores_of(vortices, grid)
        fields.append(field)
        masks.append(mask)
        vortices = moved(vortices, grid, STEP)
    seen = np.stack(fields) + eddies(grid, frames, rng)
    noise = NOISE * rng.standard_normal(seen.shape)
    return (seen + noise).astype(np.float32), masks[past].astype(np.uint8)


def rotation(vorticity: np.ndarray) -> np.ndarray:
    """Give by how much rotation exceeds strain: minus Okubo and Weiss' parameter.

    Okubo 1970 (doi:10.1016/0011-7471(70)90059-8); Weiss 1991 (doi:10.1016/0167-2789(91)90088-Q).

    Args:
        vorticity: (samples, rows, columns) of a periodic plane.
    """
    rows, columns = vorticity.shape[1:]
    ky, kx = 2 * np.pi * np.fft.fftfreq(rows)[:, None], 2 * np.pi * np.fft.rfftfreq(columns)
    stream = -np.fft.rfft2(vorticity) / np.maximum(kx**2 + ky**2, 1e-9)
    # With u = -dpsi/dy and v = dpsi/dx.
    normal, shear = (
        np.fft.irfft2(part * stream, s=(rows, columns)) for part in (2 * kx * ky, ky**2 - kx**2)
    )
    turning: np.ndarray = vorticity**2 - normal**2 - shear**2
    return turning
