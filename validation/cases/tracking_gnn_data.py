"""Hits of charged particles in the layers of a tracker, and the segments that may join them.

A particle of charge q and transverse momentum pt moves in the solenoid's field B on a helix of
radius R = pt / (0.3 B) (GeV, tesla, metres): at radius r its azimuth is phi0 - q asin(r / 2R), and
its z is z0 + 2R asin(r / 2R) cot(theta) (Particle Data Group, "Charged particle tracking"). Hits
are smeared by the resolution, and noise hits are added. A segment joins a hit to one of its
neighbours in azimuth in the next layer; it is true if one particle made both. Layers are those of
the barrel in the TrackML challenge (Amrouche et al. 2019, arXiv:1904.06778).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RADII = np.array([0.032, 0.072, 0.116, 0.172, 0.26, 0.36, 0.5, 0.66, 0.82, 1.02])
FIELD = 2.0
LEAST_PT = 0.5
MEAN_PT = 1.0
VERTEX_SPREAD = 0.1
ETA_REACH = 1.5
PHI_RESOLUTION = 0.0005
# Half of a strip's length: what the outer layers tell of z.
Z_RESOLUTION = 0.01


class Event(NamedTuple):
    """One collision.

    Args:
        hits: (layers * per layer, 3): r, phi, z in metres and radians, layer by layer.
        senders: (segments) the inner hit's row.
        receivers: (segments) the outer hit's row.
        true: (segments) 1 where one particle made both.
    """

    hits: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    true: np.ndarray


def wrapped(angle: np.ndarray) -> np.ndarray:
    """Bring angles into [-pi, pi)."""
    turned: np.ndarray = (angle + np.pi) % (2 * np.pi) - np.pi
    return turned


def helices(
    particles: int, layers: int, wedge: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw helices that start within +-wedge; phi and z on the layers, of (layers, particles)."""
    pt = LEAST_PT + rng.exponential(MEAN_PT, particles)
    charge = rng.choice([-1, 1], particles)
    phi0 = rng.uniform(-wedge, wedge, particles)
    z0 = rng.normal(0, VERTEX_SPREAD, particles)
    cot_theta = np.sinh(rng.uniform(-ETA_REACH, ETA_REACH, particles))
    radius = pt / (0.3 * FIELD)
    turned = np.arcsin(RADII[:layers, None] / (2 * radius))
    return wrapped(phi0 - charge * turned), z0 + 2 * radius * turned * cot_theta


def event(
    seed: int, index: int, particles: int, noise: int, neighbours: int, layers: int, sections: int
) -> Event:
    """Draw event `index` of the endless set `seed`, the same on every rank and machine.

    Args:
        noise: hits of no particle in each layer.
        neighbours: segments that each hit has outwards.
        sections: into how many wedges the tracker is cut, of which this is one.
    """
    rng = np.random.default_rng([seed, index])
    phi, z = helices(particles, layers, np.pi / sections, rng)
    phi += rng.normal(0, PHI_RESOLUTION, phi.shape)
    z += rng.normal(0, Z_RESOLUTION, z.shape)
    reach = np.abs(z).max(axis=1, keepdims=True)
    phi = wrapped(np.hstack([phi, rng.uniform(-1, 1, (layers, noise)) * np.pi / sections]))
    z = np.hstack([z, rng.uniform(-1, 1, (layers, noise)) * reach])
    per_layer = particles + noise
    made_by = np.append(np.arange(particles), np.full(noise, -1))
    r = np.broadcast_to(RADII[:layers, None], phi.shape)

    apart = np.abs(wrapped(phi[1:, None, :] - phi[:-1, :, None]))
    nearest = np.argpartition(apart, neighbours, axis=2)[:, :, :neighbours]
    inner = np.broadcast_to(np.arange(per_layer)[:, None], nearest.shape[1:])
    first = np.arange(layers - 1)[:, None, None] * per_layer
    return Event(
        hits=np.stack([r, phi, z], axis=2).reshape(-1, 3).astype(np.float32),
        senders=(inner + first).ravel(),
        receivers=(nearest + first + per_layer).ravel(),
        true=((made_by[nearest] == made_by[inner]) & (made_by[inner] >= 0))
        .ravel()
        .astype(np.float32),
    )


def geometry(hits: np.ndarray, senders: np.ndarray, receivers: np.ndarray) -> np.ndarray:
    """Give what a physicist cuts on: |dphi / dr|, and |z| where the segment meets the beam.

    Returns:
        Shape (segments, 2): radians a metre, and metres.
    """
    (r1, phi1, z1), (r2, phi2, z2) = hits[senders].T, hits[receivers].T
    bend = wrapped(phi2 - phi1) / (r2 - r1)
    origin = z1 - r1 * (z2 - z1) / (r2 - r1)
    return np.column_stack([np.abs(bend), np.abs(origin)])
