"""ResNet-50 computes forward and backward what the stock build of its framework computes.

Weights, images and labels come from a generator whose stream NumPy has frozen, so that they are the
same everywhere. The stock build's results lie in resnet50.json: the logits, and for each parameter
its gradient's length and its part along a random direction, in float64.
`resnet50.py --write` makes that file anew, in an environment with the framework's own wheel.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from emit import Emitter
from resnet import ResNet
from science import Batch
from torch import Tensor, nn

REFERENCE = Path(__file__).with_suffix(".json")
CLASSES = 1000
PIXELS, IMAGES = 64, 4
# Fifty layers amplify rounding, and backward a few units change sides at zero: on the stock build
# itself float32 is off by 5e-5 forward, and by 0.03 to 0.11 in the worst gradient, depending on the
# kernels. A stack that computes in TF32 is off by 0.07 and 2.2, in bfloat16 by 0.3 and 3.6.
TOLERANCE = {
    torch.float64: {"forward": 1e-10, "backward": 1e-8},
    torch.float32: {"forward": 1e-3, "backward": 0.5},
}


@dataclass(frozen=True)
class Images:
    """Noise in the shape of ImageNet, and ResNet-50 to train on it."""

    pixels: int

    def network(self) -> ResNet:
        """Build ResNet-50."""
        return ResNet(CLASSES)

    def samples(self, seed: int, indices: Sequence[int]) -> Batch:
        """Draw images (samples, 3, pixels, pixels) and classes (samples)."""
        drawn = [np.random.RandomState([seed, index]) for index in indices]
        shape = (3, self.pixels, self.pixels)
        images = np.stack([rng.standard_normal(shape).astype(np.float32) for rng in drawn])
        classes = np.array([rng.randint(CLASSES) for rng in drawn])
        return Batch((torch.from_numpy(images),), torch.from_numpy(classes))

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Give the cross-entropy."""
        return nn.functional.cross_entropy(outputs, labels)


def drawn(seed: int, number: int, like: Tensor) -> Tensor:
    """Draw normal numbers of a parameter's shape and type, the same everywhere."""
    values = np.random.RandomState([seed, number]).standard_normal(tuple(like.shape))
    return torch.from_numpy(values).to(like.dtype)


def fixed(model: ResNet) -> ResNet:
    """Set all weights, so that the variance of activations stays; scales are 1, and shifts 0."""
    nn.init.zeros_(model.head.bias)
    with torch.no_grad():
        for number, weight in enumerate(p for p in model.parameters() if p.dim() > 1):
            weight.copy_(drawn(1, number, weight) * (2 / weight[0].numel()) ** 0.5)
    return model


def results(dtype: torch.dtype) -> dict[str, list[float]]:
    """Take one step: some logits, and each gradient's length and part along a direction."""
    science = Images(PIXELS)
    model = fixed(science.network().to(dtype))
    (images,), classes = science.samples(2, range(IMAGES))
    logits = model(images.to(dtype))
    science.loss(logits, classes).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return {
        "logits": logits[:, ::16].flatten().tolist(),
        "lengths": [float(g.norm()) for g in gradients],
        "parts": [float((g * drawn(3, i, g)).sum()) for i, g in enumerate(gradients)],
    }


def deviations(found: dict[str, list[float]], wanted: dict[str, list[float]]) -> dict[str, float]:
    """Give the worst logit, relative to the largest; and the worst gradient, to its length.

    A difference of gradients of some length has, along a random direction, a part about as long.
    """
    one, other = ({name: np.array(values) for name, values in of.items()} for of in (found, wanted))
    if any(one[name].shape != other[name].shape for name in other):
        return {"forward": np.inf, "backward": np.inf}
    forward = np.abs(one["logits"] - other["logits"]).max() / np.abs(other["logits"]).max()
    backward = [np.abs(one[n] - other[n]) / other["lengths"] for n in ("lengths", "parts")]
    return {"forward": float(forward), "backward": float(np.max(backward))}


def main() -> None:
    """Run the case, or make its reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make the reference of this build")
    if parser.parse_args().write:
        build = f"torch {torch.__version__}, {platform.machine()}, {platform.system()}"
        text = json.dumps({"build": build, "results": results(torch.float64)})
        REFERENCE.write_text(text.replace("], ", "],\n") + "\n", encoding="utf-8")
        return
    with Emitter() as out:
        reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
        for dtype, limits in TOLERANCE.items():
            off = deviations(results(dtype), reference["results"])
            for way, limit in limits.items():
                detail = f"off by {off[way]:.1e}, limit {limit:.0e}; from {reference['build']}"
                out.check(f"{way}_{str(dtype)[6:]}", off[way] <= limit, detail)


if __name__ == "__main__":
    main()
