"""The layers of PyTorch, forward and backward, and what they keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from limits import Error, exact
from operators_errors import against, error, product
from torch import Tensor, nn
from torch.nn import functional

ELEMENTS = 1 << 20
DROPPED = 0.25
MOMENTUM, EPSILON = 0.1, 1e-5
# Kernel, stride, padding, dilation, groups: those of ResNet, AlexNet, DeepLab and MobileNet.
CONVOLUTIONS = (
    (3, 1, 1, 1, 1),
    (1, 1, 0, 1, 1),
    (1, 2, 0, 1, 1),
    (3, 2, 1, 1, 1),
    (11, 4, 2, 1, 1),
    (3, 1, 2, 2, 1),
    (3, 2, 1, 1, 5),
)
CHANNELS, FILTERS = 20, 35


def linear() -> Iterator[Error]:
    """Multiply by a transposed weight and add: rows and columns leave rests."""
    operands = [torch.randn(67, 259), torch.randn(131, 259), torch.randn(131)]

    def definition(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return product(x, weight.mT) + bias

    yield from against("linear", functional.linear, definition, operands)
    rounded = [operand.bfloat16() for operand in operands]
    yield from against("linear in bfloat16", functional.linear, definition, rounded)


def autocast() -> Iterator[Error]:
    """Compute in bfloat16 what is asked to be, and give gradients in the weights' dtype."""
    x, weight = torch.randn(67, 259), torch.randn(131, 259)
    image, kernel = torch.randn(3, CHANNELS, 17, 19), torch.randn(FILTERS, CHANNELS, 3, 3)

    def cast(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*operands: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return function(*operands)

        return run

    for name, function, definition, operands in (
        ("linear", functional.linear, lambda x, weight: product(x, weight.mT), [x, weight]),
        ("conv2d", functional.conv2d, functional.conv2d, [image, kernel]),
    ):
        cast_one = cast(function)
        yield exact(f"{name} gives bfloat16", cast_one(*operands).dtype == torch.bfloat16)
        yield from against(name, cast_one, definition, operands, torch.bfloat16)


def convolutions() -> Iterator[Error]:
    """Convolve in float32; the truth is PyTorch's own in float64, which has no part in oneDNN."""
    for width, stride, padding, dilation, groups in CONVOLUTIONS:
        image = torch.randn(3, CHANNELS, 37, 41)
        weight = torch.randn(FILTERS, CHANNELS // groups, width, width)
        bias = torch.randn(FILTERS)

        def convolve(
            image: Tensor,
            weight: Tensor,
            bias: Tensor,
            settings: tuple[int, ...] = (stride, padding, dilation, groups),
        ) -> Tensor:
            return functional.conv2d(image, weight, bias, *settings)

        what = f"conv2d {width}, stride {stride}, dilation {dilation}, groups {groups}"
        for layout in (torch.contiguous_format, torch.channels_last):
            laid = image.contiguous(memory_format=layout)
            yield from against(f"{what}, {layout}", convolve, convolve, [laid, weight, bias])
    for name, function, image, weight in (
        ("conv1d", functional.conv1d, (3, CHANNELS, 131), (FILTERS, CHANNELS, 3)),
        ("conv3d", functional.conv3d, (2, CHANNELS, 9, 11, 13), (FILTERS, CHANNELS, 3, 3, 3)),
        *(
            (name, getattr(functional, name), (3, FILTERS, *sides), (FILTERS, CHANNELS, *kernel))
            for name, sides, kernel in (
                ("conv_transpose2d", (9, 11), (4, 4)),
                ("conv_transpose3d", (5, 6, 7), (4, 4, 4)),
            )
        ),
    ):

        def strided(
            image: Tensor, weight: Tensor, function: Callable[..., Tensor] = function
        ) -> Tensor:
            return function(image, weight, stride=2, padding=1)

        yield from against(name, strided, strided, [torch.randn(image), torch.randn(weight)])


def attention() -> Iterator[Error]:
    """Attend with each kind of mask, as in Vaswani et al. 2017 (arXiv:1706.03762), eq. 1."""
    tokens, features = 67, 24
    operands = [torch.randn(2, 3, tokens, features) for _ in range(3)]
    every = torch.ones(tokens, tokens, dtype=torch.bool)
    some = (torch.rand(2, 1, tokens, tokens) > 0.4) | torch.eye(tokens, dtype=torch.bool)
    added = torch.randn(2, 1, tokens, tokens)
    for name, asked, mask in (
        ("no mask", {}, 0 * added),
        (
            "causal",
            {"is_causal": True},
            torch.zeros(tokens, tokens).masked_fill(every.triu(1), -torch.inf),
        ),
        (
            "boolean mask",
            {"attn_mask": some},
            torch.zeros(some.shape).masked_fill(~some, -torch.inf),
        ),
        ("added mask", {"attn_mask": added}, added),
    ):

        def attend(
            query: Tensor, key: Tensor, value: Tensor, asked: dict[str, object] = asked
        ) -> Tensor:
            return functional.scaled_dot_product_attention(query, key, value, **asked)

        def definition(query: Tensor, key: Tensor, value: Tensor, mask: Tensor = mask) -> Tensor:
            scores = (product(query, key.mT) / math.sqrt(features) + mask).exp()
            return product(scores / scores.sum(-1, keepdim=True), value)

        yield from against(f"attention, {name}", attend, definition, operands)


def norms() -> Iterator[Error]:
    """Normalise by a batch, by what is kept of batches, by a layer and by groups."""
    image = torch.randn(3, 15, 17, 19) * 2 + 1
    over, shape = (0, 2, 3), (1, -1, 1, 1)
    norm, wide = nn.BatchNorm2d(15, EPSILON, MOMENTUM), image.double()
    weight, bias = torch.randn(2, 15)

    def centred(x: Tensor, dimensions: tuple[int, ...]) -> Tensor:
        x = x - x.mean(dimensions, keepdim=True)
        return x / (x.square().mean(dimensions, keepdim=True) + EPSILON).sqrt()

    def by_batch(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, weight, bias, training=True, eps=EPSILON)

    def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return x * weight.view(shape) + bias.view(shape)

    yield from against(
        "batch norm",
        by_batch,
        lambda x, w, b: affine(centred(x, over), w, b),
        [image, weight, bias],
    )
    norm(image)
    mean = MOMENTUM * wide.mean(over)
    variance = (1 - MOMENTUM) + MOMENTUM * wide.var(over)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    yield error("batch norm's kept mean", norm.running_mean, mean)
    yield error("batch norm's kept variance", norm.running_var, variance)
    kept = (wide - mean.view(shape)) / (variance.view(shape) + EPSILON).sqrt()
    yield error("batch norm, evaluated", norm.eval()(image).detach(), kept)

    def by_layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.layer_norm(x, (259,), weight, bias, EPSILON)

    yield from against(
        "layer norm",
        by_layer,
        lambda x, w, b: centred(x, (-1,)) * w + b,
        [torch.randn(67, 259), *torch.randn(2, 259)],
    )

    def by_groups(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.group_norm(x, 5, weight, bias, EPSILON)

    def grouped(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        groups = x.unflatten(1, (5, -1))
        return affine(centred(groups, (2, 3, 4)).flatten(1, 2), weight, bias)

    yield from against("group norm", by_groups, grouped, [image, weight, bias])


def dropout() -> Iterator[Error]:
    """Drop as many as asked, scale the rest, and drop nothing in evaluation."""
    layer, ones = nn.Dropout(DROPPED), torch.ones(ELEMENTS, requires_grad=True)
    out = layer(ones)
    (gradient,) = torch.autograd.grad(out.sum(), ones)
    gone = int((out == 0).sum())
    kept = torch.tensor(1 / (1 - DROPPED))
    yield exact("all are zero or scaled", bool(((out == 0) | (out == kept)).all()))
    # Binomial; beyond six standard deviations by chance once in 5e8, and the seed is fixed.
    spread = math.sqrt(ELEMENTS * DROPPED * (1 - DROPPED))
    yield Error("dropped, in standard deviations", abs(gone - ELEMENTS * DROPPED) / spread, 6.0)
    yield exact("its gradient is dropped alike", torch.equal(gradient, out.detach()))
    yield exact("evaluated, it drops nothing", torch.equal(layer.eval()(ones), ones))


def recurrent() -> Iterator[Error]:
    """Run LSTM and GRU over a sequence; the order of their gates is PyTorch's documentation's."""

    def lstm(x: Tensor, state: list[Tensor], *weights: Tensor) -> list[Tensor]:
        (hidden, cell), (w, u, b, c) = state, weights
        i, f, g, o = (product(x, w.mT) + b + product(hidden, u.mT) + c).chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return [o.sigmoid() * cell.tanh(), cell]

    def gru(x: Tensor, state: list[Tensor], *weights: Tensor) -> list[Tensor]:
        (hidden, _), (w, u, b, c) = state, weights
        from_x, from_hidden = product(x, w.mT) + b, product(hidden, u.mT) + c
        (r, z, n), (r_, z_, n_) = from_x.chunk(3, 1), from_hidden.chunk(3, 1)
        update = (z + z_).sigmoid()
        new = (n + (r + r_).sigmoid() * n_).tanh()
        return [(1 - update) * new + update * hidden, hidden]

    for layer, step in (
        (nn.LSTM(37, 41, batch_first=True), lstm),
        (nn.GRU(37, 41, batch_first=True), gru),
    ):
        names, weights = zip(*layer.named_parameters(), strict=True)

        def run(x: Tensor, *weights: Tensor, layer: nn.Module = layer, names=names) -> Tensor:
            given = dict(zip(names, weights, strict=True))
            return torch.func.functional_call(layer, given, (x,))[0]

        def definition(
            x: Tensor, *weights: Tensor, step: Callable[..., list[Tensor]] = step
        ) -> Tensor:
            state, outputs = [torch.zeros(len(x), 41, dtype=x.dtype)] * 2, []
            for time in range(x.shape[1]):
                state = step(x[:, time], state, *weights)
                outputs.append(state[0])
            return torch.stack(outputs, 1)

        name = type(layer).__name__
        yield from against(name, run, definition, [torch.randn(5, 11, 37), *weights])


def activations() -> Iterator[Error]:
    """Bend numbers of every size; softmax over more classes than fill a vector's blocks."""

    def erf(x: Tensor) -> Tensor:
        return torch.tensor([math.erf(value) for value in x.tolist()], dtype=x.dtype)

    def sigmoid(x: Tensor) -> Tensor:
        return 1 / (1 + (-x).exp())

    def tanh(x: Tensor) -> Tensor:
        return 2 * sigmoid(2 * x) - 1

    x = torch.linspace(-8, 8, 1003)
    yield error("gelu", functional.gelu(x), x.double() * (1 + erf(x.double() / math.sqrt(2))) / 2)
    for name, function, definition in (
        ("sigmoid", torch.sigmoid, sigmoid),
        ("tanh", torch.tanh, tanh),
        ("silu", functional.silu, lambda x: x * sigmoid(x)),
        ("softplus", functional.softplus, lambda x: (1 + x.exp()).log()),
        ("elu", functional.elu, lambda x: torch.where(x > 0, x, x.exp() - 1)),
        (
            "gelu by tanh",
            lambda x: functional.gelu(x, approximate="tanh"),
            # Hendrycks and Gimpel 2016 (arXiv:1606.08415), section 2.
            lambda x: x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
        ),
    ):
        yield from against(name, function, definition, [x])
    rows = torch.randn(67, 1003) * 3
    for dimension in (0, 1):

        def softmax(x: Tensor, dimension: int = dimension) -> Tensor:
            return x.exp() / x.exp().sum(dimension, keepdim=True)

        def by_torch(x: Tensor, dimension: int = dimension) -> Tensor:
            return x.softmax(dimension)

        def log_by_torch(x: Tensor, dimension: int = dimension) -> Tensor:
            return x.log_softmax(dimension)

        yield from against(f"softmax over {dimension}", by_torch, softmax, [rows])
        yield from against(
            f"log softmax over {dimension}", log_by_torch, lambda x, s=softmax: s(x).log(), [rows]
        )
    for kind, sides in (("max", (3, 7, 35, 37)), ("avg", (3, 7, 35, 37))):
        pool = getattr(functional, f"{kind}_pool2d")
        image = torch.randn(sides)
        blocks = image.double()[..., :34, :36].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
        wanted = blocks.amax((-3, -1)) if kind == "max" else blocks.mean((-3, -1))
        yield error(f"{kind} pool", pool(image, 2), wanted)


def losses() -> Iterator[Error]:
    """Compare predictions with targets, some of which are to be left out, or smoothed."""
    rows, classes, smoothing = 67, 259, 0.1
    target = torch.from_numpy(np.random.default_rng(1).integers(0, classes, rows))
    target[::7] = -100
    seen, weight = target >= 0, torch.rand(classes) + 0.5
    logits = torch.randn(rows, classes)

    def cross_entropy(logits: Tensor, weight: Tensor | None = None, smoothed: float = 0) -> Tensor:
        logs = (logits.exp() / logits.exp().sum(1, keepdim=True)).log()[seen]
        w = torch.ones(classes) if weight is None else weight
        right, heavy = target[seen], w.double()[target[seen]]
        smooth = (logs * w).sum(1) / classes
        picked = logs[torch.arange(len(right)), right] * heavy
        return -((1 - smoothed) * picked + smoothed * smooth).sum() / heavy.sum()

    for name, asked in (
        ("cross entropy", {}),
        ("weighted cross entropy", {"weight": weight}),
        ("smoothed cross entropy", {"label_smoothing": smoothing}),
    ):
        yield from against(
            name,
            lambda x, asked=asked: functional.cross_entropy(x, target, **asked),
            lambda x, asked=asked: cross_entropy(
                x, asked.get("weight"), asked.get("label_smoothing", 0)
            ),
            [logits],
        )
    truth, x = (torch.rand(1003) > 0.3).double(), torch.randn(1003) * 3
    for name, function, definition in (
        (
            "binary cross entropy",
            functional.binary_cross_entropy_with_logits,
            lambda x, y: ((1 + x.exp()).log() - x * y).mean(),
        ),
        ("mean square", functional.mse_loss, lambda x, y: (x - y).square().mean()),
        ("mean absolute", functional.l1_loss, lambda x, y: (x - y).abs().mean()),
        (
            "smooth L1",
            functional.smooth_l1_loss,
            lambda x, y: torch.where(
                (x - y).abs() < 1, (x - y).square() / 2, (x - y).abs() - 0.5
            ).mean(),
        ),
    ):
        yield from against(
            name,
            lambda x, function=function: function(x, truth.to(x.dtype)),
            lambda x, definition=definition: definition(x, truth),
            [x],
        )
