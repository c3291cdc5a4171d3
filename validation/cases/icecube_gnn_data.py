"""Light of muons in an array of sensors in ice: one from a neutrino, or a bundle from a shower.

As in Choma et al. 2018 (arXiv:1809.06166) the background are bundles of muons from cosmic-ray air
showers. The light of a muon on a straight line at the speed of light comes at the Cherenkov angle:
a sensor at distance rho sees it first at t = (l + rho tan(theta)) / c, with l along the track
(IceCube, arXiv:astro-ph/0407044, "track reconstruction"), and later the more the ice scatters. A
neutrino's muon of high energy loses it in a few bright bursts; a bundle's many muons of low energy
shine evenly, lie apart from each other, and end one by one. Both kinds come from above and are
equally bright. Lengths are in metres, times in nanoseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

LIGHT = 0.2998
TAN_CHERENKOV = np.tan(np.radians(41.0))
STRING_SPACING = 125.0
ABSORPTION = 80.0
NEAREST = 15.0
# Mean delay of light that was scattered on its way.
SCATTERING = 0.5
BURSTS, BURST_SHARE = 4, 0.5
MUONS, BUNDLE_RADIUS = (4, 30), 35.0
BRIGHTEST, DIMMEST = 600.0, 60.0


class Hits(NamedTuple):
    """Sensors that saw light: where, how much of it, and when first."""

    positions: np.ndarray
    charges: np.ndarray
    times: np.ndarray


def array(rings: int, sensors: int, spacing: float) -> np.ndarray:
    """Place strings on a hexagon of some rings, with sensors down each: (number, 3) about 0."""
    around = range(-rings, rings + 1)
    grid = [(a, b) for a in around for b in around if abs(a + b) <= rings]
    flat = np.array([(a + b / 2, b * np.sqrt(3) / 2) for a, b in grid]) * STRING_SPACING
    depths = (np.arange(sensors) - (sensors - 1) / 2) * spacing
    places: np.ndarray = np.column_stack(
        [np.repeat(flat, sensors, axis=0), np.tile(depths, len(flat))]
    )
    return places


def direction(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the way of a particle from above, and two axes across it (2, 3)."""
    down, azimuth = rng.uniform(0.3, 1.0), rng.uniform(0, 2 * np.pi)
    flat = np.sqrt(1 - down**2)
    way = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), -down])
    side = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return way, np.stack([side, np.cross(way, side)])


def falls_off(distance: np.ndarray, power: float) -> np.ndarray:
    """Give the light that is left: spread over a circle or a sphere, and absorbed."""
    seen: np.ndarray = np.exp(-distance / ABSORPTION) / np.maximum(distance, NEAREST) ** power
    return seen


def event(seed: int, index: int, sensors: np.ndarray) -> tuple[Hits, float]:
    """Draw event `index` of the endless set `seed`: what is seen; 1 for one muon, 0 for many."""
    rng = np.random.default_rng([seed, index])
    label = rng.integers(2)
    way, across = direction(rng)
    reach = np.abs(sensors).max()
    middle = rng.uniform(-0.4, 0.4, 3) * reach
    muons = 1 if label else rng.integers(*MUONS)
    offsets = rng.normal(0, BUNDLE_RADIUS, (muons, 2)) * (muons > 1)
    ends = np.full(1, np.inf) if label else rng.exponential(1.5 * reach, muons) - 0.5 * reach

    apart = sensors - (middle + offsets @ across)[:, None]
    along = apart @ way
    rho = np.sqrt(np.maximum((apart**2).sum(axis=2) - along**2, 0))
    light = (falls_off(rho, 1) * (along - rho / TAN_CHERENKOV < ends[:, None])).sum(axis=0)
    light /= max(light.sum(), 1e-9)
    if label:
        bursts = middle + rng.uniform(-1, 1, (BURSTS, 1)) * reach * way
        away = np.linalg.norm(sensors - bursts[:, None], axis=2)
        burst_light = rng.dirichlet(np.ones(BURSTS)) @ falls_off(away, 2)
        light = (1 - BURST_SHARE) * light + BURST_SHARE * burst_light / burst_light.sum()
    brightness = DIMMEST * (BRIGHTEST / DIMMEST) ** rng.random()
    charge = rng.poisson(brightness * light)

    first = ((along + rho * TAN_CHERENKOV) / LIGHT).min(axis=0)
    delay = rng.exponential(SCATTERING * rho.min(axis=0) / np.maximum(charge, 1))
    hit = charge > 0
    return Hits(sensors[hit], charge[hit].astype(float), (first + delay)[hit]), float(label)


def as_rows(hits: Hits, most: int) -> np.ndarray:
    """Give the brightest hits as rows of x, y, z, t, ln share, ln(1 + charge); empty ones are 0.

    Places and times are told from the mean of the light, charges as shares of it as well.

    Returns:
        Shape (most, 6).
    """
    kept = np.argsort(-hits.charges, kind="stable")[:most]
    share = hits.charges / hits.charges.sum()
    places = np.column_stack([hits.positions, hits.times])
    charges = np.column_stack([np.log(share), np.log1p(hits.charges)])
    found = np.hstack([places - share @ places, charges])[kept]
    rows = np.zeros((most, 6), dtype=np.float32)
    rows[: len(found)] = found
    return rows


def width_and_peak(rows: Tensor) -> np.ndarray:
    """Give what a physicist cuts on: how far light lies from its axis, and the brightest's share.

    Args:
        rows: (events, hits, 6).
    """
    charge = torch.expm1(rows[..., 5])
    weight = (charge / charge.sum(dim=1, keepdim=True))[..., None]
    centred = rows[..., :3] - (weight * rows[..., :3]).sum(dim=1, keepdim=True)
    spread = torch.linalg.eigvalsh((weight * centred).transpose(1, 2) @ centred)
    return np.column_stack([spread[:, :2].sum(dim=1).sqrt(), weight.amax(dim=(1, 2))])
