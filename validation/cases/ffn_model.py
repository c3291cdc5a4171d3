"""A flood-filling network: convolutions with a small field of view, and where they look.

Januszewski et al. 2018 (Nature Methods 15, 605; arXiv:1611.00421), and the authors' own code
(github.com/google/ffn). It looks at the image and at what is known of one object so far, a seed at
first, and says for each voxel how likely it is part of that object. Where the object reaches a face
of the field of view, that is where it looks next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import chain, product
from typing import NamedTuple

import numpy as np
import torch
from ffn_data import CONTRAST, GREY
from torch import Tensor, nn


def logit(probability: float) -> float:
    """Give ln p / (1 - p)."""
    return float(np.log(probability / (1 - probability)))


# How sure of a voxel the network is to be, at most; the authors' (github.com/google/ffn).
OBJECT, OTHER = 0.95, 0.05
# How sure it has to be to look on there, and to keep a voxel; for the latter the authors' 0.6 loses
# more, as a network that was trained for a minute is less sure.
FOLLOWED, KEPT = 0.9, 0.4
# How far around a seed is its object; the authors know the seed alone, and train for days.
SEED_REACH = 1

Voxel = tuple[int, ...]
Window = tuple[slice, ...]


def around(voxel: Voxel, reach: int) -> Window:
    """Give the cube as far as `reach` around a voxel, but not beyond a volume's lower faces."""
    return tuple(slice(max(v - reach, 0), v + reach + 1) for v in voxel)


class Plan(NamedTuple):
    """How a network looks: `field` voxels across, moving by about `step`.

    In training it takes at most `looks` from each of at most `starts` seeds of a volume. What it
    finds of fewer voxels than `least` is no object.
    """

    field: int
    step: int
    starts: int
    looks: int
    least: int


class Flood:
    """What is known of one object, and where to look next."""

    def __init__(self, shape: Sequence[int], seed: Voxel, plan: Plan) -> None:
        """Start at a seed in a volume."""
        self.seed = seed
        self.logits = np.full(shape, np.nan, np.float32)
        self.logits[around(seed, SEED_REACH)] = logit(OBJECT)
        self.due = deque([seed])
        self._met = {(0,) * len(seed)}
        self._plan = plan

    def window(self) -> Window:
        """Give the field of view that is due: around its voxel, but inside the volume."""
        corner = np.array(self.due[0]) - self._plan.field // 2
        corner = corner.clip(0, np.array(self.logits.shape) - self._plan.field)
        return tuple(slice(c, c + self._plan.field) for c in corner.tolist())

    def mask(self) -> np.ndarray:
        """Give what is known in that field of view, as logits."""
        return np.nan_to_num(self.logits[self.window()], nan=logit(OTHER))

    def learn(self, found: np.ndarray) -> None:
        """Take what was found there, but for voxels that were lost before; then move on."""
        window = self.window()
        known = self.logits[window]
        self.logits[window] = np.where((known < 0) & (found > known), known, found)
        voxel = self.due.popleft()
        for axis, way in product(range(len(voxel)), (-self._plan.step, self._plan.step)):
            self._follow(voxel, axis, voxel[axis] + way)

    def _follow(self, voxel: Voxel, axis: int, place: int) -> None:
        """Have the likeliest voxel looked at of a face around another, unless its place was."""
        if not 0 <= place < self.logits.shape[axis]:
            return
        face = [*around(voxel, self._plan.step)]
        face[axis] = slice(place, place + 1)
        logits = np.nan_to_num(self.logits[tuple(face)], nan=-np.inf)
        best = np.unravel_index(logits.argmax(), logits.shape)
        target = tuple(side.start + int(b) for side, b in zip(face, best, strict=True))
        cell = tuple(
            round((t - s) / self._plan.step) for t, s in zip(target, self.seed, strict=True)
        )
        if logits[best] >= logit(FOLLOWED) and cell not in self._met:
            self._met.add(cell)
            self.due.append(target)


class Looks(NamedTuple):
    """What was found in training: logits (looks, z, y, x), and for each look where that was."""

    logits: Tensor
    places: list[tuple[int, Voxel, Window]]
    """The sample, the seed, and the field of view."""


def conv(inputs: int, outputs: int) -> nn.Conv3d:
    """Make a convolution of 3^3 voxels."""
    return nn.Conv3d(inputs, outputs, 3, padding=1)


class FloodFilling(nn.Module):
    """Convolutions in residual modules; in training gives some looks, else whole segmentations."""

    def __init__(self, width: int, modules: int, plan: Plan) -> None:
        """Build it with features of `width`."""
        super().__init__()
        self.plan = plan
        self.first = nn.Sequential(conv(2, width), nn.ReLU(), conv(width, width))
        self.residual = nn.ModuleList(
            nn.Sequential(nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, width))
            for _ in range(modules)
        )
        self.last = nn.Sequential(nn.ReLU(), nn.Conv3d(width, 1, 1))
        for layer in self.modules():
            if isinstance(layer, nn.Conv3d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.last[1].weight, std=0.1 * width**-0.5)
        self.to(memory_format=torch.channels_last_3d)

    def forward(self, raw: Tensor) -> Looks | Tensor:
        """See grey values (samples, z, y, x).

        Returns:
            In training, looks; else numbers of objects (samples, z, y, x), 0 outside of any.
        """
        images = (raw.float() - GREY) / CONTRAST
        return self.practise(images) if self.training else self.segment(images)

    def update(self, images: Tensor, masks: Tensor) -> Tensor:
        """Give better logits for fields of view (looks, z, y, x) and what is known there."""
        both = torch.stack([images, masks], dim=1)
        found = self.first(both.contiguous(memory_format=torch.channels_last_3d))
        for module in self.residual:
            found = found + module(found)
        better: Tensor = masks + self.last(found)[:, 0]
        return better

    def look(self, images: Tensor, floods: Sequence[tuple[int, Flood]]) -> Looks:
        """Look once for each flood, which is in the sample beside it; and let it learn."""
        places = [(sample, flood.seed, flood.window()) for sample, flood in floods]
        seen = torch.stack([images[(sample, *window)] for sample, _, window in places])
        masks = np.stack([flood.mask() for _, flood in floods])
        logits = self.update(seen, torch.from_numpy(masks))
        for (_, flood), found in zip(floods, logits.detach().numpy(), strict=True):
            flood.learn(found)
        return Looks(logits, places)

    def practise(self, images: Tensor) -> Looks:
        """Look a few times from some of each sample's seeds, from bright ones to dark ones."""
        floods = [
            (sample, self._flood(images, seed))
            for sample, seeds in enumerate(self._seeds(images))
            for seed in seeds[:: -(-len(seeds) // self.plan.starts)]
        ]
        looks = []
        for _ in range(self.plan.looks):
            floods = [(sample, flood) for sample, flood in floods if flood.due]
            if floods:
                looks.append(self.look(images, floods))
        logits, places = zip(*looks, strict=True)
        return Looks(torch.cat(logits), list(chain(*places)))

    def segment(self, images: Tensor) -> Tensor:
        """Fill one object after the other, in all samples at once."""
        objects = torch.zeros(images.shape, dtype=torch.int64).numpy()
        seeds = [deque(found) for found in self._seeds(images)]
        floods: dict[int, Flood] = {}
        while True:
            for sample, waiting in enumerate(seeds):
                while waiting and sample not in floods:
                    seed = waiting.popleft()
                    if not objects[(sample, *seed)]:
                        floods[sample] = self._flood(images, seed)
                        floods[sample].logits[objects[sample] > 0] = logit(OTHER)
            if not floods:
                return torch.from_numpy(objects)
            self.look(images, list(floods.items()))
            for sample in [sample for sample, flood in floods.items() if not flood.due]:
                filled = floods.pop(sample).logits >= logit(KEPT)
                if filled.sum() >= self.plan.least:
                    objects[sample][filled] = objects[sample].max() + 1

    def _flood(self, images: Tensor, seed: Voxel) -> Flood:
        return Flood(images.shape[1:], seed, self.plan)

    def _seeds(self, images: Tensor) -> list[list[Voxel]]:
        """Give each sample's seeds: voxels amid the brightest surroundings, the brightest first."""
        across = self.plan.step | 1
        smooth = images[:, None]
        for width in (across + 2, 3):
            smooth = nn.functional.avg_pool3d(smooth, width, 1, width // 2, count_include_pad=False)
        peaks = smooth == nn.functional.max_pool3d(smooth, across + 2, 1, across // 2 + 1)
        found = []
        for image, peak in zip(smooth[:, 0], peaks[:, 0], strict=True):
            order = image[peak].argsort(descending=True)
            found.append([tuple(voxel) for voxel in peak.nonzero()[order].tolist()])
        return found
