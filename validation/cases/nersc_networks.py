"""The networks of NERSC's PyTorch benchmarks, on noise in the shapes of their data.

Networks, sizes, batches and optimizers are those of models/ and configs/ of
https://github.com/sparticlesteve/pytorch-benchmarks; ResNet-50 is resnet.py's. `small` is for two
cores: fewer pixels, tokens, features or samples, and the same layers. DCGAN's players take their
steps at once, as those of adversaries.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from batchnorm import BatchNorm2d
from resnet50 import Images
from science import Batch
from tasks import Task
from torch import Tensor, nn
from torch.func import functional_call

LEAK = 0.2


@dataclass(frozen=True)
class Noise:
    """Random inputs, and a random class for each, or for each of its tokens.

    Args:
        network: builds what is trained.
        shape: of a sample's input.
        classes: how many there are.
        tokens: of a sample; the input is then their numbers.
    """

    network: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int
    tokens: bool = False

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw samples."""
        rng = np.random.default_rng([seed, *indices])
        shape = (len(indices), *self.shape)
        if self.tokens:
            inputs, labels = torch.from_numpy(rng.integers(self.classes, size=(2, *shape)))
            return Batch((inputs,), labels)
        inputs = torch.from_numpy(rng.standard_normal(shape, np.float32))
        return Batch((inputs,), torch.from_numpy(rng.integers(self.classes, size=len(indices))))

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the cross-entropy; classes are on the last axis."""
        return nn.functional.cross_entropy(outputs.flatten(0, -2), labels.flatten())


def alexnet(dense: int) -> nn.Module:
    """Krizhevsky 2014 (arXiv:1404.5997), as in torchvision; `dense` is 4096 there."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(256 * 6 * 6, dense), nn.ReLU()),
        *(nn.Dropout(), nn.Linear(dense, dense), nn.ReLU()),
        nn.Linear(dense, 1000),
    )


def cnn3d() -> nn.Module:
    """Build four 3-D convolutions, each with pooling, and two dense layers; for 32^3 cells."""
    blocks = [
        nn.Sequential(nn.Conv3d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2))
        for a, b in pairwise([1, 16, 32, 64, 128])
    ]
    head = (nn.Flatten(), nn.Linear(128 * 2**3, 256), nn.ReLU(), nn.Linear(256, 4))
    return nn.Sequential(*blocks, *head)


class Lstm(nn.Module):
    """One LSTM, and a dense layer after its last step."""

    def __init__(self, features: int) -> None:
        """Build it, as wide as its inputs."""
        super().__init__()
        self.lstm = nn.LSTM(features, features, batch_first=True)
        self.head = nn.Linear(features, 4)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map (samples, steps, features) to logits (samples, 4)."""
        logits: Tensor = self.head(self.lstm(sequences)[1][0][-1])
        return logits


class Transformer(nn.Module):
    """Encoder layers that look back only, as in PyTorch's word_language_model example."""

    places: Tensor
    mask: Tensor

    def __init__(self, vocabulary: int, tokens: int, features: int, layers: int) -> None:
        """Build it; hidden layers are as wide as the features, and heads are eight."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, features)
        layer = nn.TransformerEncoderLayer(features, 8, features, dropout=0.5, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(features, vocabulary)
        for weight in (self.embedding.weight, self.head.weight):
            nn.init.uniform_(weight, -0.1, 0.1)
        # Sines and cosines of each place: Vaswani et al. 2017 (arXiv:1706.03762), section 3.5.
        rates = torch.exp(torch.arange(0, features, 2) * (-math.log(10_000) / features))
        angles = torch.arange(tokens)[:, None] * rates
        places = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
        self.register_buffer("places", places)
        mask = nn.Transformer.generate_square_subsequent_mask(tokens)
        self.register_buffer("mask", mask)

    def forward(self, words: Tensor) -> Tensor:
        """Map words (samples, tokens) to logits (samples, tokens, vocabulary)."""
        seen = self.embedding(words) * math.sqrt(self.places.shape[1]) + self.places
        logits: Tensor = self.head(self.encoder(nn.functional.dropout(seen, 0.5), self.mask))
        return logits


class Dcgan(nn.Module):
    """Radford et al. 2015 (arXiv:1511.06434): five convolutions each, for 64 x 64 x 3 pixels."""

    def __init__(self, noise: int, filters: int) -> None:
        """Build both players."""
        super().__init__()
        widths = [noise, 8 * filters, 4 * filters, 2 * filters, filters, 3]
        steps = [(4, 1, 0), *[(4, 2, 1)] * 4]
        up = [
            nn.ConvTranspose2d(a, b, *step, bias=False)
            for (a, b), step in zip(pairwise(widths), steps, strict=True)
        ]
        down = [
            nn.Conv2d(a, b, *step, bias=False)
            for (a, b), step in zip(pairwise([3, *widths[-2:0:-1], 1]), steps[::-1], strict=True)
        ]
        made = [
            layer for conv in up[:-1] for layer in (conv, BatchNorm2d(conv.out_channels), nn.ReLU())
        ]
        seen = [
            layer
            for conv in down[1:-1]
            for layer in (conv, BatchNorm2d(conv.out_channels), nn.LeakyReLU(LEAK))
        ]
        self.generator = nn.Sequential(nn.Unflatten(1, (noise, 1, 1)), *made, up[-1], nn.Sigmoid())
        self.critic = nn.Sequential(down[0], nn.LeakyReLU(LEAK), *seen, down[-1])

    def forward(self, real: Tensor, noise: Tensor) -> Tensor:
        """Give the losses of both players, neither of which moves the other."""
        fake = self.generator(noise)
        fixed = {name: value.detach() for name, value in self.critic.named_parameters()}
        critics = (told(self.critic(real), 1.0) + told(self.critic(fake.detach()), 0.0)) / 2
        return torch.stack([critics, told(functional_call(self.critic, fixed, fake), 1.0)])


def told(logits: Tensor, truth: float) -> Tensor:
    """Give the cross-entropy of calling everything what it is."""
    return nn.functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))


@dataclass(frozen=True)
class Pictures:
    """Noise for a critic to see, and noise for a generator to start from."""

    noise: int
    filters: int

    def network(self) -> nn.Module:
        """Build both players."""
        return Dcgan(self.noise, self.filters)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw pictures in [0, 1], and noise; there are no labels."""
        rng = np.random.default_rng([seed, *indices])
        real = rng.random((len(indices), 3, 64, 64), np.float32)
        noise = rng.standard_normal((len(indices), self.noise), np.float32)
        return Batch((torch.from_numpy(real), torch.from_numpy(noise)), torch.empty(0))

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the sum of both players' losses."""
        del labels
        return outputs.sum()


def adam(rate: float = 0.001) -> dict[str, Any]:
    """Give the one optimizer that all have."""
    return {"name": "Adam", "lr": rate}


NETWORKS = {
    "small": {
        "alexnet": Task(Noise(partial(alexnet, 512), (3, 64, 64), 1000), adam(), 16),
        "resnet50": Task(Images(64), adam(), 4),
        "cnn3d": Task(Noise(cnn3d, (1, 32, 32, 32), 4), adam(), 8),
        "lstm": Task(Noise(partial(Lstm, 128), (50, 128), 4), adam(), 16),
        "transformer": Task(
            Noise(partial(Transformer, 1024, 64, 128, 4), (64,), 1024, tokens=True), adam(0.01), 8
        ),
        "dcgan": Task(Pictures(64, 16), adam(0.0002), 16, duel=True),
    },
    "full": {
        "alexnet": Task(Noise(partial(alexnet, 4096), (3, 224, 224), 1000), adam(), 128),
        "resnet50": Task(Images(224), adam(), 128),
        "cnn3d": Task(Noise(cnn3d, (1, 32, 32, 32), 4), adam(), 64),
        "lstm": Task(Noise(partial(Lstm, 500), (50, 500), 4), adam(), 64),
        "transformer": Task(
            Noise(partial(Transformer, 1024, 512, 512, 4), (512,), 1024, tokens=True),
            adam(0.01),
            32,
        ),
        "dcgan": Task(Pictures(64, 16), adam(0.0002), 128, duel=True),
    },
}
