"""The science models: data of known truth, a criterion that only learning meets, equal ranks."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from payload_runs import STACK_PYTHON, TORCHRUN, VALIDATION, Run, needs_stack, run_case, run_python

from stackwright.report import pictures
from stackwright.validation.suites import load_suite

pytestmark = needs_stack

GANS = ("cosmogan", "pigan")
CLIMATE = ("climate_deeplab", "climate_tiramisu")
# Learn from what follows, not from labels.
UNSUPERVISED = ("coherent_structures",)
MODELS = (
    *("cosmoflow", "etalumis", "hepcnn", "icecube_gnn", "tracking_gnn"),
    *(*GANS, *CLIMATE, *UNSUPERVISED, "ffn"),
)
CLASSIFIERS = ("hepcnn", "icecube_gnn", "tracking_gnn")

LOAD = """
import importlib, json, sys
from dataclasses import replace
import numpy as np
import torch
import trainer
from emit import Emitter
from science import Science, load, name_of
from world import gloo
def kind_of(name):
    classes = vars(importlib.import_module(name)).values()
    found = [c for c in classes if isinstance(c, type) and issubclass(c, Science)]
    return next(c for c in found if name_of(c) == name)
"""


# Of each kind of test that trains, `make test` runs these.
IN_SHORT = {"tracking_gnn"}


def trained(name: str, *values: str, of: str) -> Any:
    """Parameters of a test that trains a model to the end."""
    return pytest.param(name, *values, id=of, marks=[pytest.mark.long] * (name not in IN_SHORT))


def run_text(text: str, out: Path, ranks: int = 0) -> Run:
    """Run a program in the stack: by itself, or on some ranks started by torchrun."""
    program = out.with_suffix(".py")
    program.write_text(LOAD + text)
    torchrun = [*TORCHRUN, f"--nproc-per-node={ranks}"] if ranks else []
    return run_python([str(STACK_PYTHON), *torchrun, str(program)], out)


def passes(text: str, tmp_path: Path) -> None:
    run = run_text(text, tmp_path / "out")
    assert run.exit == 0, run.output


def undrawn(name: str, value: Any) -> bool:
    """Whether a fact means to be a picture, and is none that the report can draw."""
    meant = isinstance(value, dict) and {"images", "masks", "points", "lines"} & value.keys()
    return bool(meant) and pictures.read(name, value) is None


# --- the criterion ------------------------------------------------------------------------------

TRAIN = """
name = {name!r}
kind = kind_of(name)
science, training = load(kind, "small")
{change}
with Emitter() as out:
    trainer.run(out, science, training, [1])
"""
LEARNS_NOTHING = """
few = 16 * training.batch
training = replace(training, optimizer=training.optimizer | {"lr": 0.0}, train_samples=few)
"""
LABELS_OF_OTHERS = """
# Shuffled, as segments come in some order; of the batch before, as its own mean would tell.
true_loss, seen = kind.loss, []
def loss(self, outputs, labels):
    seen.append(labels)
    wrong = seen[max(len(seen) - 2, 0)]
    return true_loss(self, outputs, wrong[torch.randperm(len(wrong))])
kind.loss = loss
"""
DIVERGES = """
training = replace(training, optimizer={"name": "SGD", "lr": 1e9}, train_samples=1024)
"""
CRITERIA = {
    "cosmoflow": {"half_of_trivial"},
    "etalumis": {"half_of_trivial", "near_posterior", "beats_linear_gaussian"},
    "hepcnn": {"half_of_trivial", "beats_hand_cut"},
    "icecube_gnn": {"half_of_trivial", "beats_hand_cut", "keeps_more_than_cut"},
    "tracking_gnn": {"half_of_trivial", "beats_hand_cut"},
    "climate_deeplab": {"half_of_trivial", "vortices_beat_thresholds", "rivers_beat_thresholds"},
    "climate_tiramisu": {"half_of_trivial", "vortices_beat_thresholds", "rivers_beat_thresholds"},
    "cosmogan": {"half_of_trivial", "power_spectrum", "beats_gaussian_field", "maps_differ"},
    "pigan": {"half_of_trivial", "beats_perturbation", "correlation_length", "residual"},
    "coherent_structures": {"half_of_trivial", "beats_threshold"},
    "ffn": {"half_of_trivial", "beats_components"},
}
SOUND = {"shards", "equal_parameters"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [trained(name, of=name) for name in MODELS])
def test_healthy_model_learns_at_its_usual_pace(name: str, tmp_path: Path) -> None:
    run = run_case("torchrun", name, "--seeds", "1", out=tmp_path / "out")

    suite = load_suite(VALIDATION / "suites/certify.yaml")
    asked = [case.checks for case in suite.cases if case.script == name]
    assert run.finished(), run.output
    assert run.failed() == set()
    assert [set(checks) for checks in asked] == [set(run.checks())]
    curve = run.values("series")["learning curve"]
    assert {name, "trivial"} < set(curve["y"])
    facts = run.values("info")
    assert facts["samples/s"]["value"] > 0
    assert facts["seconds to target"]["value"][0] > 0
    assert facts["peak memory of a rank in MiB"]["value"] > 100
    assert "energy" in facts or min(facts["energy in J, whole node"]["value"]) > 0
    assert any(pictures.read(name, fact["value"]) for name, fact in facts.items())
    assert not [name for name, fact in facts.items() if undrawn(name, fact["value"])]
    known = {n: f["value"] for n, f in facts.items() if "branch after 8 and 9" in n}
    # A KL divergence of 0.25 from N(7.25, 1/1.2), were the width right.
    assert all(abs(mean - 7.25) < 0.65 for mean in known.values())
    assert bool(known) is (name == "etalumis")
    assert sum(":::MLLOG" in line for line in run.output.splitlines()) >= len(curve["x"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(
            pytest.param(
                name,
                LEARNS_NOTHING,
                id=f"{name} learns nothing",
                marks=[pytest.mark.long] * (name in {"ffn", "hepcnn"}),
            )
            for name in MODELS
        ),
        *(trained(name, DIVERGES, of=f"{name} diverges") for name in MODELS),
        *(
            trained(name, LABELS_OF_OTHERS, of=f"{name} has labels of other samples")
            # What a GAN draws has no label of its own.
            for name in sorted({*MODELS} - {*GANS} - {*UNSUPERVISED})
        ),
    ],
)
def test_broken_model_fails_the_criterion(name: str, change: str, tmp_path: Path) -> None:
    run = run_text(TRAIN.format(name=name, change=change), tmp_path / "out")

    assert run.finished(), run.output
    assert run.failed() >= CRITERIA[name] | {"samples_to_target"}
    assert not run.failed() & SOUND


SHORTER = """
# Long enough for a sound one to halve the trivial error.
training = replace(training, train_samples=training.train_samples // 4)
"""
ALWAYS_THE_SAME = """
whole = kind.chances
def chances(self, seed, indices):
    noise, dice = whole(self, seed, indices)
    return torch.zeros_like(noise), dice
kind.chances = chances
"""
EQUATION_LEFT_OUT = """
from pigan import Players
shown = Players.shown
def k_alone(self, noise):
    seen = shown(self, noise)
    sensors = seen.shape[1] // 2
    return torch.cat([seen[:, :sensors], torch.ones_like(seen[:, sensors:])], dim=1)
Players.shown = k_alone
"""


FEW_DRAWS = """
whole = kind.chances
def chances(self, seed, indices):
    noise, dice = whole(self, seed, [index % 8 for index in indices])
    return noise, dice
kind.chances = chances
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "failed"),
    [
        pytest.param(
            *("pigan", ALWAYS_THE_SAME, {"half_of_trivial", "correlation_length"}),
            id="pigan of one draw",
        ),
        pytest.param(
            *("pigan", EQUATION_LEFT_OUT, {"half_of_trivial", "residual"}),
            id="pigan without equation",
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("cosmogan", ALWAYS_THE_SAME, {"half_of_trivial", "power_spectrum", "maps_differ"}),
            id="cosmogan of one draw",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "cosmogan",
            FEW_DRAWS,
            {"maps_differ"},
            id="cosmogan of eight draws",
            marks=pytest.mark.long,
        ),
    ],
)
def test_broken_duel_fails_the_criterion(
    name: str, change: str, failed: set[str], tmp_path: Path
) -> None:
    run = run_text(TRAIN.format(name=name, change=SHORTER + change), tmp_path / "out")

    assert run.finished(), run.output
    assert run.failed() >= failed
    assert not run.failed() & SOUND


FUTURES_OF_OTHERS = """
from coherent_structures import CausalStates
whole = CausalStates.forward
CausalStates.forward = lambda self, past, future: whole(self, past, future.roll(1, dims=0))
"""
ONLY_NOW = """
import coherent_structures
whole = coherent_structures.light_cones
def light_cones(frames, nearest, speed):
    cells = whole(frames, nearest, speed)
    return cells if nearest else cells * torch.eye(1, cells.shape[1])[..., None, None]
coherent_structures.light_cones = light_cones
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(FUTURES_OF_OTHERS, id="futures of other samples"),
        pytest.param(ONLY_NOW, id="cones of one cell", marks=pytest.mark.long),
    ],
)
def test_states_without_their_light_cones_fail_the_criterion(change: str, tmp_path: Path) -> None:
    run = run_text(TRAIN.format(name="coherent_structures", change=change), tmp_path / "out")

    assert run.finished(), run.output
    assert run.failed() >= CRITERIA["coherent_structures"] | {"samples_to_target"}
    assert not run.failed() & SOUND


STAYS_WHERE_IT_STARTS = """
from ffn_model import Flood
Flood._follow = lambda self, voxel, axis, place: None
"""


@pytest.mark.slow
@pytest.mark.long
def test_flood_that_does_not_move_fails_the_criterion(tmp_path: Path) -> None:
    program = TRAIN.format(name="ffn", change=STAYS_WHERE_IT_STARTS)

    run = run_text(program, tmp_path / "out")

    assert run.finished(), run.output
    assert run.failed() == CRITERIA["ffn"] | {"samples_to_target"}


LABELS_IN_THE_IMAGES = """
import hepcnn
true_batch = hepcnn.as_batch
def as_batch(images, labels):
    images[:, :8, :8, 0] += labels[:, None, None]
    return true_batch(images, labels)
hepcnn.as_batch = as_batch
"""


@pytest.mark.slow
@pytest.mark.long
def test_learning_suspiciously_fast_is_a_mistake_too(tmp_path: Path) -> None:
    program = TRAIN.format(name="hepcnn", change=LABELS_IN_THE_IMAGES)

    run = run_text(program, tmp_path / "out")

    assert run.failed() == {"samples_to_target"}, run.output


# --- ranks --------------------------------------------------------------------------------------

FEW_STEPS = """
def shortened(training, steps):
    few = steps * training.batch
    return replace(training, train_samples=few, test_samples=64, epochs=1, evaluations=2)
"""
# What takes more than six steps to show that it trains; and the score that shows it first.
STEPS = {"ffn": 32}
SCORED = {"ffn": "mean IoU of objects"}
EVERY_MODEL = (
    FEW_STEPS
    + f"""
with Emitter() as out, gloo(out):
    for name in {MODELS!r}:
        science, training = load(kind_of(name), "small")
        result = trainer.train(science, shortened(training, {STEPS!r}.get(name, 6)), 1, out)
        assert result.shards and result.equal_parameters
        scores = [*result.curve, result.trivial, result.classical]
        metric = {SCORED!r}.get(name, science.metric)
        out.info(name, [score[metric] for score in scores])
"""
)


@pytest.fixture(scope="module")
def scores_on_one_rank(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = run_text(EVERY_MODEL, tmp_path_factory.mktemp("ranks") / "one", ranks=1)
    assert run.finished(), run.output
    return run.values("info")


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.long)])
def test_ranks_agree_with_one(
    ranks: int, scores_on_one_rank: dict[str, Any], tmp_path: Path
) -> None:
    run = run_text(EVERY_MODEL, tmp_path / "out", ranks)

    assert run.finished(), run.output
    assert len(run.ranks) == ranks
    for name in MODELS:
        # Single precision, reassociated over some steps; a score changes by whole samples. LAMB and
        # LARC take as long a step for a small gradient as for a large one, rounding included.
        off = 6e-3 if name in CLIMATE else 2e-3
        found, wanted = run.values("info")[name]["value"], scores_on_one_rank[name]["value"]
        assert found == pytest.approx(wanted, abs=off), name
        assert wanted[0] != wanted[2], f"{name} did not train"


TWO_RANKS = (
    FEW_STEPS
    + """
science, training = load(kind_of("tracking_gnn"), "small")
{change}
with Emitter() as out:
    trainer.run(out, science, shortened(training, 6), [1])
"""
)
SAME_SHARD_FOR_ALL = """
shares = type(training).shares
type(training).shares = lambda self, seed, rank, world: shares(self, seed, 0, world)
"""
NOTHING_REDUCED = "trainer.DistributedDataParallel = lambda model: model"


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        pytest.param("", set(), id="healthy"),
        pytest.param(SAME_SHARD_FOR_ALL, {"shards"}, id="same shard"),
        pytest.param(NOTHING_REDUCED, {"equal_parameters"}, id="nothing reduced"),
    ],
)
def test_wrong_ranks_show(change: str, failed: set[str], tmp_path: Path) -> None:
    run = run_text(TWO_RANKS.replace("{change}", change), tmp_path / "out", ranks=2)

    assert run.finished(), run.output
    assert run.failed() & SOUND == failed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("next(training.shares(1, 0, 3))", "a batch of 16 does not divide by 3 ranks"),
        ("replace(training, train_samples=40)", "40 samples are no multiple of a batch of 16"),
        ("trainer.usual((1.0,), 3)", "a reference of 1 runs, not 10"),
    ],
)
def test_samples_that_would_be_left_out_are_refused(
    change: str, message: str, tmp_path: Path
) -> None:
    program = f'science, training = load(kind_of("cosmoflow"), "small")\n{change}'

    run = run_text(program, tmp_path / "out")

    assert message in run.output


PACE = """
from convergence import crossing, geometric_mean, usual
inf = float("inf")
assert crossing([0, 10, 20], [1.0, 0.6, 0.2], 0.4) == 15
assert crossing([0, 10, 20], [0.5, 0.7, 0.9], 0.6) == 5
assert crossing([0, 10], [0.5, 0.7], 0.5) == 0
assert crossing([0, 10], [0.5, float("nan")], 0.6) == inf
assert crossing([0, 10], [1.0, 0.6], 0.4) == inf
assert geometric_mean([1, 100]) == 10.000000000000002 or abs(geometric_mean([1, 100]) - 10) < 1e-9
assert geometric_mean([1, inf]) == inf and geometric_mean([0, 5]) == 0
rng = np.random.default_rng(1)
outside = 0
for _ in range(4000):
    logs = rng.normal(7, 0.2, 13)
    low, high = usual(np.exp(logs[:10]).tolist(), 3)
    outside += not low <= np.exp(logs[10:].mean()) <= high
assert 0 < outside <= 12, outside
assert np.isnan(usual((), 3)).all()
"""


def test_usual_pace_is_a_prediction_interval(tmp_path: Path) -> None:
    passes(PACE, tmp_path)


SCORES = """
from classifier import auc, best_cut, roc, true_positives
rng = np.random.default_rng(2)
labels = rng.integers(2, size=200).astype(np.float32)
scores = np.round(labels + rng.normal(size=200), 1)
pairs = scores[labels == 1][:, None] - scores[labels == 0]
assert abs(auc(scores, labels) - ((pairs > 0).mean() + (pairs == 0).mean() / 2)) < 1e-12
assert auc(np.zeros(200), labels) == 0.5
assert true_positives(labels, labels, 0.0) == 1
assert np.isnan(auc(scores * np.nan, labels))
x = rng.normal(size=(20000, 2))
ring = (np.hypot(*x.T) > 1.2).astype(np.float32)
cut = best_cut(x[:10000], ring[:10000])
assert auc(cut(x[10000:]), ring[10000:]) > 0.97
assert abs(auc(x[:, 0], ring) - 0.5) < 0.02
"""


def test_classifiers_are_scored_by_definition(tmp_path: Path) -> None:
    passes(SCORES, tmp_path)


PLOTS = """
from hepcnn import Jets
science, _ = load(Jets, "small")
labels = np.array([1, 1, 0, 0], np.float32)
logits = {"hepcnn": np.array([2.0, -1.0, 0.0, np.nan]), "hand cut": np.array([3.0, 2.0, 1.0, 0.0])}
shown = science.plots(logits, labels)
kept = shown["signal kept against background kept"]["lines"]
assert {who: (line[0][0], line[0][-1]) for who, line in kept.items()} == {
    "hepcnn": ([0, 0], [1, 1]), "hand cut": ([0, 0], [1, 1])
}
assert kept["hand cut"][0][1] == [0, 1]
shares = shown["scores of signal and background"]["lines"]
assert sum(share for _, share in shares["signal"][0]) == 1
assert sum(share for _, share in shares["background"][0]) == 0.5
assert trainer.rounded({"a": [[1.23456, 2], "text"]}) == {"a": [[1.235, 2], "text"]}
"""


def test_plots_show_all_predictors_and_survive_what_is_not_finite(tmp_path: Path) -> None:
    passes(PLOTS, tmp_path)


# --- full sizes ---------------------------------------------------------------------------------

TIRAMISU = [(2, 112), (2, 176), (2, 240), (4, 368)]


def convolutions(widths: list[int], area: int) -> int:
    """The parameters of convolutions from each width to the next, with a bias for each channel."""
    return sum(area * a * b + b for a, b in pairwise(widths))


def dense(inputs: int, layers: int) -> int:
    """The parameters of a dense block that grows by 32: normalisation and 5 x 5 convolution."""
    widths = [inputs + 32 * i for i in range(layers)]
    return sum(2 * a + convolutions([a, 32], 25) for a in widths)


def tiramisu() -> int:
    """The parameters of the published Tiramisu."""
    into, found = 48, 5 * 32
    total = convolutions([16, 48], 25)
    for layers, out in TIRAMISU:
        total += dense(into, layers) + 2 * out + convolutions([out, out], 1)
        into = out
    total += dense(into, 5)
    for layers, short_cut in reversed(TIRAMISU):
        total += convolutions([found, found], 4) + dense(found + short_cut, layers)
        last, found = found + short_cut, 32 * layers
    return total + convolutions([last + found, 3], 1)


FULL_SIZE = """
science, training = load(kind_of({name!r}), "full")
with torch.device("meta"):
    model = science.network().eval()
    inputs = {inputs}
    output = model(*inputs)
parameters = sum(p.numel() for p in model.parameters())
print(json.dumps([list(output.shape), parameters, training.batch]))
"""
SEGMENTS = "torch.empty(50, dtype=torch.int64)"


@pytest.mark.parametrize(
    ("name", "inputs", "shape", "parameters"),
    [
        # 16384 numbers enter the dense layers: https://github.com/mlcommons/hpc, cosmoflow.
        (
            "cosmoflow",
            "[torch.empty(1, 4, 128, 128, 128)]",
            [1, 3],
            sum(27 * a * b + b for a, b in pairwise([4, 16, 32, 64, 128, 256]))
            + sum(a * b + b for a, b in pairwise([16384, 128, 64, 3])),
        ),
        # Layers of 512 for observations, addresses, the LSTM, and two proposals of ten normals.
        (
            "etalumis",
            "[torch.empty(5, 2)]",
            [5, 60],
            (2 * 512 + 512)
            + (512 * 512 + 512)
            + 3 * 512
            + 4 * 512 * (1024 + 512 + 2)
            + (512 * 2 + 2)
            + 2 * (512 * 30 + 30),
        ),
        # 2.3 MiB of parameters in five convolutions of 128: Kurth et al. 2017, table 2.
        (
            "hepcnn",
            "[torch.empty(2, 3, 224, 224)]",
            [2],
            sum(9 * a * b + b for a, b in pairwise([3, *[128] * 5])) + 128 + 1,
        ),
        # Eight convolutions of 64, a head, and the kernel's width.
        (
            "icecube_gnn",
            "[torch.empty(2, 512, 6)]",
            [2],
            sum(2 * a * b + b for a, b in pairwise([6, *[64] * 8])) + 2 * 64 + 1 + 1,
        ),
        # Filters of 64, 128, 256 and 512 to 16 x 16 points, and of 64, 128, 256 and 384 back; dense
        # layers; normalisations: https://github.com/MustafaMustafa/cosmoGAN, networks/models.
        (
            "cosmogan",
            "[torch.empty(4, 256, 256), torch.empty(4, 64), torch.empty(4, 1)]",
            [4, 256, 256],
            2 * (64 * 512 * 256 + convolutions([512, 256, 128, 64, 1], 25) + 2 * 960)
            + convolutions([1, 64, 128, 256, 384], 25)
            + 2 * 768
            + 384 * 256
            + 1,
        ),
        # ResNet-50 without its head, on 16 channels; the pyramid; the decoder.
        (
            "climate_deeplab",
            "[torch.empty(2, 16, 768, 1152)]",
            [2, 3, 768, 1152],
            (25_557_032 - (2048 + 1) * 1000 + 13 * 49 * 64)
            + (2 * 2048 + 3 * 9 * 2048 + 5 * 256 + 6 * 2) * 256
            + (256 + 2) * 48
            + (9 * (304 + 256) + 2 * 2) * 256
            + 257 * 3,
        ),
        # Jegou et al. 2017: each layer sees what came in and all before it.
        (
            "climate_tiramisu",
            "[torch.empty(2, 16, 768, 1152)]",
            [2, 3, 768, 1152],
            tiramisu(),
        ),
        # Two networks of place and noise, as many for their average, and a critic.
        (
            "pigan",
            "[torch.empty(4, 66), torch.empty(4, 5), torch.empty(4, 1)]",
            [4, 2, 65],
            sum(a * b + b for a, b in pairwise([6, 128, 128, 128, 128, 1])) * 4
            + sum(a * b + b for a, b in pairwise([66, 128, 128, 128, 128, 1])),
        ),
        # Ten states: the past of each in cones of 1 + 9 + 25 + 49 cells, futures and widths in 9.
        (
            "coherent_structures",
            "[torch.empty(2, 4, 768, 1152), torch.empty(2, 1, 768, 1152)]",
            [2, 768, 1152],
            10 * (1 + 9 + 25 + 49 + 2 * 9),
        ),
        # Hidden layers of 64; a hit's state is those and its place.
        (
            "tracking_gnn",
            f"[torch.empty(20, 3), {SEGMENTS}, {SEGMENTS}]",
            [50],
            sum(a * b + b for a, b in [(3, 64), (2 * 67 + 4, 64), (64, 1), (3 * 67, 64), (64, 64)]),
        ),
    ],
)
def test_full_size_is_the_published_one(
    name: str, inputs: str, shape: list[int], parameters: int, tmp_path: Path
) -> None:
    run = run_text(FULL_SIZE.format(name=name, inputs=inputs), tmp_path / "out")

    assert json.loads(run.output.splitlines()[-1])[:2] == [shape, parameters]


FULL_SIZE_OF_LOOKS = """
science, training = load(kind_of("ffn"), "full")
with torch.device("meta"):
    model = science.network()
    looks = torch.empty(2, *[science.field] * 3)
    assert model.update(looks, looks).shape == looks.shape == (2, 33, 33, 33)
print(sum(p.numel() for p in model.parameters()))
"""


def test_full_size_of_looks_is_the_published_one(tmp_path: Path) -> None:
    run = run_text(FULL_SIZE_OF_LOOKS, tmp_path / "out")

    # 18 convolutions of 3^3, and the one of 1^3 that gives the logits.
    wanted = sum(27 * a * b + b for a, b in pairwise([2, *[32] * 18])) + 32 + 1
    assert run.output.splitlines()[-1] == str(wanted)


# --- the data of cosmoflow ----------------------------------------------------------------------

SPECTRUM = """
import json
import numpy as np
from cosmoflow_data import density_cube, physical, pivot, power_spectrum
rng = np.random.default_rng(5)
gaussian = np.array([0.4, -0.6, 0.0])
cells = 16
cubes = [density_cube(gaussian, cells, rng) for _ in range(200)]
# The mean ln k of each shell; the first is too wide, against its k, for a power law's mean.
axis = np.fft.fftfreq(cells, 1 / cells)
modes = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).ravel()
shells = [modes[np.rint(modes) == shell] for shell in range(1, cells // 2 + 1)]
log_k = np.array([np.log(shell / pivot(cells)).mean() for shell in shells])
spectrum = np.mean([power_spectrum(cube) for cube in cubes], axis=0)
tilt, log_amplitude = np.polyfit(log_k[1:], np.log(spectrum[1:]), 1)
def skewness(f):
    x = np.concatenate([density_cube(np.array([0, 0, f]), cells, rng).ravel() for _ in range(50)])
    return float(np.mean(x**3) / np.mean(x**2) ** 1.5)
print(json.dumps({
    "true": physical(gaussian)[:2].tolist(),
    "found": [log_amplitude, tilt],
    "white": power_spectrum(rng.standard_normal((cells,) * 3)).mean(),
    "skewness": [skewness(f) for f in (-1.0, 0.0, 1.0)],
}))
"""


def test_cubes_have_the_spectrum_and_skewness_of_their_labels(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", SPECTRUM], tmp_path / "out")

    found = json.loads(run.output)
    assert found["found"] == pytest.approx(found["true"], abs=0.03)
    assert found["white"] == pytest.approx(1, abs=0.1)
    negative, zero, positive = found["skewness"]
    assert negative < -0.5
    assert abs(zero) < 0.1
    assert positive > 0.5


SHARDS = """
import numpy as np
from cosmoflow_data import samples
whole, labels = samples(3, range(4), 8, channels=2)
odd, odd_labels = samples(3, range(1, 4, 2), 8, channels=2)
assert whole.shape == (4, 2, 8, 8, 8) and labels.shape == (4, 3)
assert np.array_equal(whole[1::2], odd) and np.array_equal(labels[1::2], odd_labels)
assert not np.array_equal(whole[0], whole[1])
assert not np.array_equal(whole[0, 0], whole[0, 1])
assert not np.array_equal(whole, samples(4, range(4), 8, channels=2)[0])
"""


def test_samples_depend_on_seed_and_index_only(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-c", SHARDS], tmp_path / "out")

    assert run.exit == 0, run.output


RECORDS = """
import tfexample, tfrecord
from pathlib import Path
science, _ = load(kind_of("cosmoflow"), "small")
science = replace(science, cells=8, channels=2)
with Emitter() as out, gloo(out):
    folder = Path(__import__("os").environ["STACKWRIGHT_OUT"])
    with science.data(7, 600, out.rank, out.world) as read:
        files = sorted(folder.glob("*/*.tfrecord"))
        (first, *others) = [list(tfrecord.read(file)) for file in files]
        assert (len(first), *map(len, others)) == (512, 88)
        drawn = science.samples(7, [599, 3, 512])
        example = tfexample.decode(first[3])
        cube = np.frombuffer(example["x"], np.float32).reshape(8, 8, 8, 2)
        assert np.array_equal(np.moveaxis(cube, -1, 0), drawn.inputs[0][1])
        assert np.array_equal(example["y"], drawn.labels[1])
        found = read([599, 3, 512])
        assert torch.equal(found.inputs[0], drawn.inputs[0])
        assert torch.equal(found.labels, drawn.labels)
    with replace(science, channels=1).data(7, 4, out.rank, out.world) as read:
        # As of a new tensor: torch takes other kernels for channels that seem to come last.
        assert read([1, 2]).inputs[0].stride() == torch.empty(2, 1, 8, 8, 8).stride()
    assert out.rank or not list(folder.glob("*/*.tfrecord"))
"""


def test_cubes_are_streamed_from_tfrecords_as_mlperf_has_them(tmp_path: Path) -> None:
    run = run_text(RECORDS, tmp_path / "out", ranks=2)

    assert run.finished(), run.output


SCHEDULE = """
import math
training = replace(load(kind_of("cosmoflow"), "small")[1], train_samples=160, batch=8, epochs=2)
for part in (0.0, 0.1, 0.25):
    of = replace(training, warm_up=part)
    layer = torch.nn.Linear(1, 1)
    optimizer, schedule = of.start(layer)
    used = []
    for _ in range(of.steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    warm = round(part * 40)
    # From a part of the rate to all of it in equal steps; then half a wave of a cosine to zero.
    rising = [0.02 * (step + 1) / warm for step in range(warm)]
    falling = [0.01 * (1 + math.cos(math.pi * i / (40 - warm))) for i in range(40 - warm)]
    assert np.allclose(used, rising + falling, rtol=1e-12), (part, used)
    assert math.isclose(max(used), 0.02) and used[-1] < 0.001 and schedule.get_last_lr()[0] < 1e-12
"""


def test_rates_follow_their_schedule(tmp_path: Path) -> None:
    passes(SCHEDULE, tmp_path)


# --- the data of the others ---------------------------------------------------------------------

EQUAL_SHARES = f"""
for name in {MODELS[1:]!r}:
    science, _ = load(kind_of(name), "small")
    whole, part = science.samples(3, range(4)), science.samples(3, [1, 3])
    for all_four, two in ((whole.labels, part.labels), (whole.inputs[0], part.inputs[0])):
        odd = all_four.unflatten(0, (4, len(all_four) // 4))[1::2].flatten(0, 1)
        assert torch.equal(odd, two), name
    assert not torch.equal(whole.inputs[0], science.samples(4, range(4)).inputs[0]), name
for name in {CLASSIFIERS!r}:
    signal = load(kind_of(name), "small")[0].samples(5, range(200)).labels.mean()
    assert 0.1 < signal < 0.6, (name, signal)
"""


def test_events_depend_on_seed_and_index_only(tmp_path: Path) -> None:
    passes(EQUAL_SHARES, tmp_path)


JETS = """
from hepcnn_data import *
rng = np.random.default_rng(1)
for _ in range(20):
    gluino = np.array([0.7, 0.3, -1.0])
    prongs = decay(gluino, rng)
    assert np.isclose(prongs[:, 0].sum(), 0.7)
    assert np.allclose(prongs[:, 0] @ prongs[:, 1:], 0.7 * gluino[1:])
    partons = radiate(prongs, rng)
    assert np.isclose(partons[:, 0].sum(), 0.7) and (partons[:, 0] > 0).all()
    found = hadronise(partons, rng)
    assert abs(found[:, 0].sum() - 0.7) < 10 * PILE_UP * PILE_UP_MOMENTUM
# Two towers: m^2 = pt1 pt2 dR^2 if they are one wide jet, on both sides of phi = pi as well.
cell = 2 * np.pi / 64
for apart, jets, mass in ((8, 2, 0.4 * 8 * cell), (30, 2, 0.0), (60, 1, 0.4 * 4 * cell)):
    image = torch.zeros(1, 3, 64, 64)
    image[0, 0, 30, 2], image[0, 1, 30, 2 + apart] = 0.2, 0.8
    number, found = jets_and_mass(image)[0]
    assert number == jets and abs(found - mass) < 1e-3, (apart, number, found, mass)
# Cut variables aside, both kinds look alike: as many particles, as much energy.
events = [event(2, i, 64) for i in range(1500)]
labels = np.array([label for _, label in events])
sums = np.array([image.sum(axis=(0, 1)) for image, _ in events])
means = [sums[labels == kind].mean(axis=0) for kind in (0, 1)]
assert np.allclose(*means, rtol=0.1), means
"""


def test_jets_keep_their_momentum_and_have_their_mass(tmp_path: Path) -> None:
    passes(JETS, tmp_path)


FILES = """
import h5py
from pathlib import Path
science, _ = load(kind_of("hepcnn"), "small")
with Emitter() as out, gloo(out):
    folder = Path(__import__("os").environ["STACKWRIGHT_OUT"])
    with science.data(7, 600, out.rank, out.world) as read:
        files = sorted(folder.glob("*/*.h5"))
        assert len(files) == 2, files
        with h5py.File(files[1]) as h5:
            events = h5["all_events"]
            assert events["hist"].shape == (88, 64, 64, 3)
            assert events["y"].shape == events["weight"].shape == (88,)
        found, drawn = read([599, 3, 512]), science.samples(7, [599, 3, 512])
        assert torch.equal(found.inputs[0], drawn.inputs[0])
        assert torch.equal(found.labels, drawn.labels)
    assert out.rank or not list(folder.glob("*/*.h5"))
"""


def test_events_are_streamed_from_hdf5_as_nersc_writes_it(tmp_path: Path) -> None:
    run = run_text(FILES, tmp_path / "out", ranks=2)

    assert run.finished(), run.output


HELICES = """
import tracking_gnn_data as data
rng = np.random.default_rng(3)
phi, z = data.helices(50, 10, np.pi, rng)
r = data.RADII[:, None]
x, y = r * np.cos(phi), r * np.sin(phi)
for i in range(50):
    # On a circle through the origin, x^2 + y^2 = 2 (a x + b y), as wide as the least pt bends.
    (a, b), rest, *_ = np.linalg.lstsq(2 * np.column_stack([x[:, i], y[:, i]]), r[:, 0] ** 2)
    radius = np.hypot(a, b)
    assert rest.item() < 1e-20 and radius >= data.LEAST_PT / (0.3 * data.FIELD) - 1e-9
    # z grows with the length of the arc.
    arc = 2 * radius * np.arcsin(data.RADII / (2 * radius))
    line = np.polyfit(arc, z[:, i], 1)
    assert np.allclose(np.polyval(line, arc), z[:, i])
found = data.event(1, 0, particles=16, noise=8, neighbours=5, layers=8, sections=4)
assert found.hits.shape == (8 * 24, 3) and len(found.true) == 7 * 24 * 5
assert (found.receivers // 24 == found.senders // 24 + 1).all()
# No hit is left truly twice, and most true segments are proposed.
assert np.bincount(found.senders, found.true).max() == 1
assert found.true.sum() > 0.8 * 7 * 16
"""


def test_tracks_are_helices(tmp_path: Path) -> None:
    passes(HELICES, tmp_path)


LIGHT = """
import icecube_gnn_data as data
sensors = data.array(rings=2, sensors=20, spacing=25.0)
assert sensors.shape == (19 * 20, 3) and np.allclose(sensors.mean(axis=0), 0)
flat = np.unique(sensors[:, :2].round(6), axis=0)
nearest = np.sort(np.linalg.norm(flat[:, None] - flat, axis=2), axis=1)[:, 1]
assert np.allclose(nearest, data.STRING_SPACING)
assert len(data.array(rings=5, sensors=60, spacing=17.0)) == 91 * 60
events = [data.event(1, i, sensors) for i in range(1500)]
labels = np.array([label for _, label in events])
charge = np.array([hits.charges.sum() for hits, _ in events])
means = [np.log(charge[labels == kind]).mean() for kind in (0, 1)]
assert abs(means[0] - means[1]) < 0.1, means
# Light comes from above: the deeper, the later. Nothing is faster than light.
data.SCATTERING = 0.0
for i in range(50):
    hits, _ = data.event(1, i, sensors)
    assert np.corrcoef(hits.positions[:, 2], hits.times)[0, 1] < 0
    apart = np.linalg.norm(hits.positions[:, None] - hits.positions, axis=2)
    late = np.abs(hits.times[:, None] - hits.times)
    # Along the Cherenkov cone's front times differ by at most n d / c.
    assert (late <= apart / np.cos(np.radians(41.0)) / data.LIGHT + 1e-6).all()
"""


def test_light_comes_from_above_and_in_time(tmp_path: Path) -> None:
    passes(LIGHT, tmp_path)


POSTERIOR = """
from etalumis import *
mean, variance = (7.25, 1 / 1.2)
found = posterior(np.array([KNOWN]))[0]
branch = mixture(np.array([[0.0, mean, 0.5 * np.log(variance)]]))[0]
# But for the 2 % that the other branch is to blame for.
assert 0.5 * np.trapezoid(np.abs(found - branch), GRID) < 0.02
# Against the simulator itself: means of the traces whose observations are near some value.
traces = np.stack([trace(1, i) for i in range(100000)])
for value in (-1.0, 3.0, 6.0):
    near = traces[np.abs(traces[:, 2:].mean(axis=1) - value) < 0.1]
    density = posterior(np.full((1, 2), value))[0]
    want = density @ GRID / density.sum()
    spread = density @ (GRID - want) ** 2 / density.sum()
    assert abs(near[:, 1].mean() - want) < 4 * (spread / len(near)) ** 0.5 + 0.02, value
    assert abs(near[:, 1].var() / spread - 1) < 0.2, value
science, _ = load(kind_of("etalumis"), "small")
shifted = np.column_stack([np.zeros(2), [1.0, 2.0], np.zeros(2)])
labels = traces[:2]
true = posterior(labels[:, 2:])
ratio = np.log((true + 1e-300) / (mixture(shifted) + 1e-300))
exact = (true * ratio).sum(axis=1) * (GRID[1] - GRID[0])
assert abs(science.score(shifted, labels)[science.metric] - exact.mean()) < 1e-3
"""


def test_posterior_is_that_of_the_simulator(tmp_path: Path) -> None:
    passes(POSTERIOR, tmp_path)


# --- generative adversaries ---------------------------------------------------------------------

DIFFUSION = """
from pigan_data import *
from pigan import Diffusion
# A constant k has a parabola for a solution; any solution is held by a force of 1.
assert np.allclose(solve(np.full(POINTS, 2.0)), (1 - X**2) / 4, atol=1e-12)
k, u = np.stack([fields(3, i) for i in range(2000)]).astype(float).swapaxes(0, 1)
assert np.allclose(u[:, [0, -1]], 0, atol=1e-6) and np.abs(force(k, u) - 1).max() < 0.05
# Means and spreads of ln k, and the correlation exp(-d^2), whose integral is erf(1) sqrt(pi) / 2.
logs = np.log(k)
assert np.allclose(logs.mean(axis=0), 0.2 * np.sin(1.5 * np.pi * (X + 1)), atol=0.06)
assert np.allclose(logs.std(axis=0), SPREAD, atol=0.04)
assert abs(correlation_length(logs) - 0.7468) < 0.03
assert correlation_length(np.ones((5, POINTS))) == 0
# The first-order response is a derivative.
means, way = k[0], k[1] - k[0]
exact = (solve(means + 1e-5 * way) - solve(means - 1e-5 * way)) / 2e-5
assert np.allclose(respond(means + way, means) - solve(means), exact, atol=1e-4)
# What the critic sees of the generator's force is what finite differences find.
science, _ = load(Diffusion, "full")
torch.manual_seed(1)
players = science.network()
noise = torch.randn(3, science.noise)
made = players.generator(noise).detach().numpy().astype(float)
inner = science._rows()[1:-1]
seen = players.shown(noise)[:, science.sensors :].detach().numpy()
assert np.allclose(seen[:, 1:-1], force(made[:, 0], made[:, 1])[:, inner - 1], atol=2e-3)
"""


def test_diffusion_is_solved_and_the_force_is_its_derivative(tmp_path: Path) -> None:
    passes(DIFFUSION, tmp_path)


LENSING = """
from cosmogan_data import *
from cosmogan import Lensing
science, _ = load(Lensing, "small")
pixels = science.pixels
drawn, others = (science.samples(seed, range(2000)).labels.numpy() for seed in (1, 2))
assert abs(drawn.mean()) < 0.01 and abs(drawn.std() - 1) < 0.01
# A shifted log-normal: its logarithm is normal, with the spectrum that was asked for.
logs = np.log(drawn * np.sqrt(np.expm1(SPREAD**2)) + 1)
assert abs(((logs - logs.mean()) ** 3).mean() / logs.std() ** 3) < 0.02
k = np.arange(3, pixels // 2)
slope = np.polyfit(np.log(k), np.log(spectra(logs).mean(axis=0)[2:]), 1)[0]
assert abs(slope - SLOPE) < 0.05, slope
white = np.random.default_rng(1).standard_normal((500, pixels, pixels))
assert np.allclose(spectra(white).mean(axis=0), 1, atol=0.1)
# Kolmogorov and Smirnov: of uniforms on [0, 1] and [1/4, 5/4], a quarter; ties count together.
grid = np.arange(1000) / 1000
assert abs(distance(grid, grid + 0.25) - 0.25) < 2e-3
assert distance(np.zeros(7), np.zeros(9)) < 1e-12
assert abs(distance(np.zeros(7), np.ones(9)) - 1) < 1e-12
# Maps 3 and 4 apart, and one of which there are two.
assert spacing(np.array([[[0, 0]], [[3, 0]], [[3, 4]]])) == (3 + 3 + 4) / 3
assert spacing(np.array([[[1, 2]], [[1, 2]]])) == 0
# The truth's own samples fulfil the criterion; few of them, drawn again and again, don't.
trivial = science.score(np.broadcast_to(science.guess(drawn), drawn.shape), drawn)
summaries = science.summary(science.samples(1, range(2000)))
classical = science.score(science.fit(summaries, drawn)(others), others)
assert classical["distance of intensities"] > 0.05 and classical[science.metric] < 0.05
for copies, failed in (
    (1, set()),
    (2, {"maps_differ"}),
    (250, {"maps_differ"}),
    (2000, {"maps_differ", "half_of_trivial", "power_spectrum"}),
):
    made = np.repeat(drawn[: 2000 // copies], copies, axis=0)
    bounds = science.criterion(science.score(made, others), trivial, classical)
    assert {name for name, bound in bounds.items() if not bound.holds()} == failed, copies
"""


def test_maps_have_their_spectrum_and_a_collapsed_generator_fails(tmp_path: Path) -> None:
    passes(LENSING, tmp_path)


DUEL = """
from adversaries import KEPT
science, training = load(kind_of("{name}"), "small")
model = science.network()
before = {name: value.clone() for name, value in model.named_parameters()}
batch = science.samples(1, range(8))
critic, generator = model(*batch.inputs)
ours = {name: value for name, value in model.named_parameters() if value.requires_grad}
assert {name.split(".")[0] for name in ours} == {"generator", "critic"}
# Each player's loss moves that player alone.
for loss, player in ((critic, "critic"), (generator, "generator")):
    found = torch.autograd.grad(loss, list(ours.values()), retain_graph=True, allow_unused=True)
    moved = {name.split(".")[0] for name, g in zip(ours, found) if g is not None and g.any()}
    assert moved == {player}, moved
optimizer, _ = training.start(model)
science.loss(torch.stack([critic, generator]), batch.labels).backward()
optimizer.step()
model(*batch.inputs)
now = dict(model.named_parameters())
for name, value in model.generator.named_parameters():
    was = before["generator." + name]
    assert not torch.equal(value, was), name
    kept = KEPT * was + (1 - KEPT) * value
    assert torch.allclose(now["average." + name], kept, atol=1e-6), name
"""


@pytest.mark.parametrize("name", GANS)
def test_players_move_themselves_alone(name: str, tmp_path: Path) -> None:
    passes(DUEL.replace("{name}", name), tmp_path)


PENALTY = """
from cosmogan import Lensing
from cosmogan_model import Critic, Players
science, _ = load(Lensing, "small")
torch.manual_seed(1)
real, noise, _ = science.samples(1, range(4)).inputs
dice = torch.tensor([[0.5], [0.9], [0.002], [0.01]])
losses = {}
for penalty in (0.0, 10.0):
    torch.manual_seed(1)
    critic = Critic(science.pixels, 4, science.side, normal=False)
    losses[penalty] = Players(torch.nn.Identity(), critic, 0.01, penalty).critic_loss(
        real, real.flip(0), dice
    )
# Slopes by finite differences along themselves; labels of the third pair are false.
opinion = lambda maps: critic(maps).double()
unknown = real.clone().requires_grad_()
(slope,) = torch.autograd.grad(critic(unknown).sum(), unknown)
steepness = slope.flatten(1).norm(dim=1)
way = slope / steepness[:, None, None]
found = (opinion(real + 1e-2 * way) - opinion(real - 1e-2 * way)) / 2e-2
assert torch.allclose(found.float(), steepness, rtol=0.02), (found, steepness)
steep = float(losses[10.0] - losses[0.0])
assert abs(steep / float(5 * steepness.square().mean()) - 1) < 1e-4
true = torch.tensor([1.0, 1.0, 0.0, 1.0])
entropy = torch.nn.functional.binary_cross_entropy_with_logits
wanted = entropy(critic(real), true) + entropy(critic(real.flip(0)), 1 - true)
assert torch.isclose(losses[0.0], wanted)
"""


def test_critic_is_fined_for_its_slope_and_told_a_few_lies(tmp_path: Path) -> None:
    passes(PENALTY, tmp_path)


NPY_FILES = f"""
from pathlib import Path
with Emitter() as out, gloo(out):
    folder = Path(__import__("os").environ["STACKWRIGHT_OUT"])
    for name in {GANS!r}:
        science, _ = load(kind_of(name), "small")
        with science.data(7, 5000, out.rank, out.world) as read:
            files = sorted(folder.glob("*/*.npy"))
            assert len(files) > 1, files
            assert sum(len(np.load(file)) for file in files) == 5000
            found, drawn = read([4999, 3, 4096]), science.samples(7, [4999, 3, 4096])
            for one, other in zip((*found.inputs, found.labels), (*drawn.inputs, drawn.labels)):
                assert torch.equal(one, other), name
        assert out.rank or not list(folder.glob("*/*.npy"))
"""


def test_snapshots_are_streamed_from_npy(tmp_path: Path) -> None:
    run = run_text(NPY_FILES, tmp_path / "out", ranks=2)

    assert run.finished(), run.output


# --- normalisation and layer-wise rates ---------------------------------------------------------

SYNCED = """
from batchnorm import BatchNorm2d
with Emitter() as out, gloo(out):
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.normal(3, 2, (8, 5, 6, 7)))
    images[::2] *= 3
    upstream = torch.from_numpy(rng.normal(size=images.shape))
    def trained(layer, mine):
        part = images[mine].clone().requires_grad_()
        layer.weight.data = torch.linspace(0.5, 2, 5).double()
        layer.bias.data = torch.linspace(-1, 1, 5).double()
        found = layer(part)
        (found * upstream[mine]).sum().backward()
        return found.detach(), part.grad, layer
    whole = trained(torch.nn.BatchNorm2d(5).double(), slice(None))
    mine = slice(out.rank, None, out.world)
    found, gradient, layer = trained(BatchNorm2d(5).double(), mine)
    assert torch.allclose(found, whole[0][mine], atol=1e-12)
    assert torch.allclose(gradient, whole[1][mine], atol=1e-12)
    for name, of_all in whole[2].named_parameters():
        summed = layer.get_parameter(name).grad
        torch.distributed.all_reduce(summed)
        assert torch.allclose(summed, of_all.grad, atol=1e-10), name
    state = whole[2].state_dict()
    assert all(torch.allclose(value, state[name]) for name, value in layer.state_dict().items())
    inputs = images[mine]
    assert torch.allclose(layer.eval()(inputs), whole[2].eval()(inputs))
"""


def test_ranks_normalise_their_samples_together(tmp_path: Path) -> None:
    run = run_text(SYNCED, tmp_path / "out", ranks=2)

    assert run.finished(), run.output


LAYER_WISE = """
from algorithms_serial import lamb, larc
from layerwise import Lamb, Larc
PAIRS = (
    (Larc, {"lr": 0.5, "decay": 0.01}, larc(0.5, 0.02, 0.01)),
    (Lamb, {"lr": 0.1, "decay": 0.01}, lamb(0.1, (0.9, 0.999), 1e-6, 0.01)),
)
for kind, options, step in PAIRS:
    torch.manual_seed(1)
    layers = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.zeros(4))]
    optimizer = kind(layers, **options)
    for _ in range(3):
        before = [layer.detach().numpy().astype(float) for layer in layers]
        optimizer.zero_grad()
        sum((layer**3 + layer).sum() for layer in layers).backward()
        optimizer.step()
        for i, layer in enumerate(layers):
            wanted = step(i, before[i].ravel(), layer.grad.numpy().astype(float).ravel())
            assert np.allclose(layer.detach().numpy().ravel(), wanted, atol=1e-6), (kind, i)
"""


def test_optimizers_take_the_steps_of_their_definitions(tmp_path: Path) -> None:
    passes(LAYER_WISE, tmp_path)


# --- weather ------------------------------------------------------------------------------------

WEATHER = """
import climate_data as data
from climate import MEAN, intersections, best_threshold
grid = data.Grid(64, 96)
rng = np.random.default_rng(1)
# Around a low the wind turns left, and the lower, the stronger; around a high it turns right.
for sense in (1.0, -1.0):
    fields = np.zeros((4, *grid))
    mask = data.add_vortex(fields, rng, sense, wind=1.0)
    y, x = data.places(grid)
    middle = [float((place * mask).sum() / mask.sum()) for place in (y, x)]
    turning = (x - middle[1]) * fields[2] - (y - middle[0]) * fields[1]
    assert (sense * turning[mask]).mean() > 0 and (sense * fields[3][mask]).max() < 0
    # A Gaussian low's wind is strongest where the mask ends.
    speed = np.hypot(fields[1], fields[2])
    assert not mask[speed > 0.999 * speed.max()].all()
# A river is longer than wide, and its water flows along it.
fields = np.zeros((4, *grid))
mask = data.add_river(fields, rng)
assert fields[0][mask].min() > fields[0][~mask].max() - 1e-9
# Masks are as frequent as the class weights say.
for name in ("climate_deeplab", "climate_tiramisu"):
    science, _ = load(kind_of(name), "small")
    labels = science.samples(3, range(400)).labels.numpy()
    found = np.bincount(labels.ravel(), minlength=3) / labels.size
    assert np.allclose(found, science.frequencies, rtol=0.2), found
# Intersection over union by definition; a class that is absent does not score.
true = np.array([0, 0, 1, 1, 1, 0])
each = intersections(np.array([0, 1, 1, 1, 0, 2]), true)
assert np.allclose(each[:2], [1 / 4, 2 / 4]) and np.isnan(each[2])
one_hot = np.eye(3)[true[None, None]].transpose(0, 3, 1, 2)
assert science.score(one_hot, true[None, None])[MEAN] == 1
assert np.isnan(science.score(one_hot * np.nan, true[None, None])[MEAN])
values = rng.random(1000)
assert 0.68 < best_threshold(values, values > 0.7) < 0.72
# Ranks whose shares have other classes still average to the mean over all pixels.
batch = science.samples(3, range(4))
logits = torch.randn(4, 3, science.rows, science.columns)
parts = [science.loss(logits[i::2], batch.labels[i::2]) for i in (0, 1)]
assert torch.isclose(sum(parts) / 2, science.loss(logits, batch.labels))
"""


def test_weather_is_what_its_masks_say(tmp_path: Path) -> None:
    passes(WEATHER, tmp_path)


WEATHER_FILES = """
import h5py
from pathlib import Path
science, _ = load(kind_of("climate_deeplab"), "small")
with Emitter() as out, gloo(out):
    folder = Path(__import__("os").environ["STACKWRIGHT_OUT"])
    with science.data(7, 100, out.rank, out.world) as read:
        files = sorted(folder.glob("*/*.h5"))
        with h5py.File(files[1]) as h5:
            assert h5["climate/data"].shape == (36, 64, 96, 4)
            assert h5["climate/labels_0"].shape == (36, 64, 96)
        found, drawn = read([99, 3, 64]), science.samples(7, [99, 3, 64])
        assert torch.equal(found.inputs[0], drawn.inputs[0])
        assert torch.equal(found.labels, drawn.labels)
    assert out.rank or not list(folder.glob("*/*.h5"))
"""


def test_weather_is_streamed_from_hdf5_as_deepcam_writes_it(tmp_path: Path) -> None:
    run = run_text(WEATHER_FILES, tmp_path / "out", ranks=2)

    assert run.finished(), run.output


# --- flows --------------------------------------------------------------------------------------

FLOW = """
from coherent_structures_data import *
import coherent_structures_data as data
grid = Grid(48, 64)
# Two equal vortices circle about their middle, in 4 pi^2 d^2 / (circulation of both).
two = Vortices(np.array([[24.0, 27.0], [24.0, 37.0]]), np.array([20.0, 20.0]), np.array([0.5, 0.5]))
period, steps = 4 * np.pi**2 * 10**2 / 40, 200
data.VISCOSITY = 0.0
once, quarter = two, two
for step in range(steps):
    once = moved(once, grid, period / steps)
    if step == steps // 4 - 1:
        quarter = once
assert np.abs(once.centres - two.centres).max() < 0.05, once.centres
# Counter-clockwise, with y upwards.
assert np.allclose(quarter.centres, [[19, 32], [29, 32]], atol=0.05), quarter.centres
# Lamb and Oseen's core spreads, but keeps its circulation: the vorticity's integral.
data.VISCOSITY = 0.05
one = Vortices(np.array([[1.0, 62.0]]), np.array([30.0]), np.array([3.0]))
later = moved(one, grid, 10.0)
for vortex in (one, later):
    vorticity, mask = cores_of(vortex, grid)
    assert np.isclose(vorticity.sum(), 30, rtol=1e-3)
    assert abs(mask.sum() / (np.pi * (FASTEST * vortex.cores[0]) ** 2) - 1) < 0.1
    # Around the edges as well.
    assert mask[1, 62] and mask[47, 62] and mask[1, 0] and not mask[24, 32]
assert np.isclose(later.cores[0] ** 2, 9 + 4 * 0.05 * 10)
# Wind is fastest at the mask's edge.
r = np.linspace(0.5, 2, 1501)
assert np.isclose(r[np.argmax((1 - np.exp(-r**2)) / r)], FASTEST, atol=1e-3)
# Eddies: their strength, and how much of them is left a frame later.
found = np.stack([eddies(grid, 3, np.random.default_rng(i)) for i in range(200)])
assert abs(found.std() / EDDIES - 1) < 0.03
kept = (found[:, 1:] * found[:, :-1]).mean() / found.var()
assert abs(kept - np.exp(-STEP / EDDY_LIFE)) < 0.03, kept
# Okubo and Weiss: a solid core rotates; rotation exceeds strain there, and not outside of it.
vorticity, mask = cores_of(one, grid)
turning = rotation(vorticity[None])[0]
assert turning[1, 62] > 0 and turning[1, 62 - 6] < 0
assert abs(turning.sum()) < 1e-6 * np.abs(turning).sum() + (vorticity.mean() ** 2) * vorticity.size
"""


def test_flow_is_that_of_its_vortices(tmp_path: Path) -> None:
    passes(FLOW, tmp_path)


CONES = """
from coherent_structures import *
frames = torch.randn(2, 3, 9, 11)
cones = light_cones(frames, 0, 1)
assert cones.shape == (2, 1 + 9 + 25, 9, 11) and size_of(3, 0, 1) == 35
assert torch.equal(cones[:, 0], frames[:, 0])
# What lies a row up and a column left in the frame before, around the edge.
assert torch.equal(cones[:, 1], frames[:, 1].roll((1, 1), (1, 2)))
assert torch.equal(cones[:, 34], frames[:, 2].roll((-2, -2), (1, 2)))
# Surprise and closeness by their definitions.
torch.manual_seed(1)
model = CausalStates(past=2, future=1, speed=1, states=5)
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.5)
futures = light_cones(torch.randn(2, 1, 9, 11), 1, 1)
for state in range(5):
    normal = torch.distributions.Normal(model.futures[state], model.log_widths[state].exp())
    wanted = -normal.log_prob(futures.movedim(1, -1)).sum(dim=-1)
    found = model.surprises(futures)[:, state] + 4.5 * np.log(2 * np.pi)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
apart = (cones.movedim(1, -1)[..., None, :] - model.pasts).square().sum(dim=-1)
assert torch.equal(model.closeness(cones).argmax(dim=1), apart.argmin(dim=-1))
# States are named so that they overlap best.
labels = np.array([1, 1, 1, 0, 0, 0, 0, 0])
states = np.array([3, 3, 1, 1, 0, 0, 0, 0])
science, _ = load(Flows, "small")
assert named(states, labels).tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
assert science.score(states, labels)[IOU] == 0.75
assert science.score(labels, labels)[IOU] == 1
assert np.isclose(science.score(np.zeros(8), labels)[IOU], 3 / 8)
"""


def test_states_are_scored_by_definition(tmp_path: Path) -> None:
    passes(CONES, tmp_path)


# --- neurites -----------------------------------------------------------------------------------

NEURITES = """
import ffn_data as data
for scale in (1, 2):
    raw, labels = data.volume(3, 5, 24 * scale, scale)
    assert raw.shape == labels.shape == (24 * scale,) * 3
    # Objects are numbered, large enough, and never touch: there is a membrane between.
    assert sorted(np.unique(labels)) == list(range(labels.max() + 1)) and labels.max() > 10
    assert np.bincount(labels.ravel()).min() >= data.LEAST * scale**3
    for axis in range(3):
        one, next_one = np.split(labels, [1], axis)[1], np.split(labels, [-1], axis)[0]
        assert ((one == next_one) | (one == 0) | (next_one == 0)).all()
# Insides are bright but for organelles; the rest is dark but for gaps.
drawn = [data.volume(4, i, 24, 1) for i in range(20)]
inside = np.concatenate([raw[labels > 0] for raw, labels in drawn]).mean()
outside = np.concatenate([raw[labels == 0] for raw, labels in drawn]).mean()
assert 0.9 < (inside - data.GREY) / data.CONTRAST < 1, inside
assert -1 < (outside - data.GREY) / data.CONTRAST < -0.85, outside
holes = np.mean([data.gaps(24, 1, np.random.default_rng(i)).mean() for i in range(50)])
assert abs(holes / data.GAPS - 1) < 0.3, holes
# Connected components, of which one winds; what is too small is dropped.
mask = np.zeros((5, 6, 7), dtype=bool)
mask[0, :, 0] = mask[:, 5, 0] = mask[4, 5, :] = mask[4, :, 6] = True
mask[2, 1:3, 3] = mask[3, 3, 3] = True
found = data.components(mask, 2)
assert sorted(np.bincount(found.ravel())) == [2, 21, 187], np.bincount(found.ravel())
assert len(set(found[[0, 4, 4], [0, 5, 0], [0, 3, 6]])) == 1 and found[3, 3, 3] == 0
noise = np.random.default_rng(1).random((9, 9, 9)) < 0.4
found = data.components(noise, 1)
for axis in range(3):
    one, next_one = np.split(found, [1], axis)[1], np.split(found, [-1], axis)[0]
    assert ((one == next_one) | (one == 0) | (next_one == 0)).all()
assert ((found > 0) == noise).all() and found.max() > 10
"""


def test_neurites_are_apart_and_bright(tmp_path: Path) -> None:
    passes(NEURITES, tmp_path)


FLOODS = """
from ffn import *
from ffn_model import *
science, _ = load(Neurites, "small")
model = science.network().eval()
# A network that knows: an object's voxels are all as bright as its seed.
def knows(images, masks):
    seeds = torch.stack([image[mask > 0].median() for image, mask in zip(images, masks)])
    same = (images == seeds[:, None, None, None]) & (images > 0)
    return torch.where(same, logit(OBJECT), logit(OTHER))
model.update = knows
true = np.stack([science.samples(3, [i]).labels[0].numpy() for i in range(3)])
bright = np.where(true > 0, 128 + 2 * true, 0).astype(np.uint8)
found = model(torch.from_numpy(bright)).numpy()
# It gets around in whole objects, and takes none twice; only some have no seed.
scores = science.score(found, true)
assert 0.85 < scores[F1] <= 1, scores
for volume, labels in zip(found, true):
    for number in range(1, volume.max() + 1):
        assert len(np.unique(labels[volume == number])) == 1
# A field of view stays inside; next is where an object reaches its faces, and nowhere twice.
plan = Plan(field=9, step=3, starts=1, looks=1, least=1)
flood = Flood((24, 24, 24), (12, 12, 1), plan)
assert flood.window() == (slice(8, 17), slice(8, 17), slice(0, 9))
along = np.full((9, 9, 9), logit(OTHER), np.float32)
along[3:6, 3:6] = logit(OBJECT)
flood.learn(along)
assert len(flood.due) == 1 and flood.due[0][2] == 4
flood.learn(along)
assert len(flood.due) == 1 and flood.due[0][2] == 7
# A voxel once lost is not taken up again; one that was never seen is.
flood = Flood((9, 9, 9), (4, 4, 4), plan)
flood.learn(along)
flood.due.append((4, 4, 4))
flood.learn(-along)
assert (flood.logits < 0).all()
# Scores by definition: one object found, one merged with nothing, one found that is none.
true, found = np.zeros((2, 1, 1, 1, 12), np.int64)
true[..., :4], true[..., 5:7], true[..., 8:] = 1, 2, 3
found[..., :6], found[..., 8:11], found[..., 7] = 3, 1, 2
assert np.allclose(overlaps(found[0], true[0]), [[0, 0, 3 / 4], [0, 0, 0], [4 / 6, 1 / 7, 0]])
assert np.isclose(science.score(found, true)[F1], 2 * 2 / 6)
assert np.isclose(science.score(found, true)[OVERLAP], (4 / 6 + 1 / 7 + 3 / 4) / 3)
assert science.score(true, true)[F1] == 1 and science.score(0 * true, true)[F1] == 0
# Ranks whose shares need other numbers of looks still average to the mean over all.
batch = science.samples(3, range(4))
model = science.network()
def loss(part):
    return science.loss(model(batch.inputs[0][part]), batch.labels[part])
with torch.no_grad():
    parts = [loss(slice(i, None, 2)) for i in (0, 1)]
    assert torch.isclose(sum(parts) / 2, loss(slice(None)))
"""


def test_floods_follow_an_object_to_its_ends(tmp_path: Path) -> None:
    passes(FLOODS, tmp_path)


VOLUME_FILES = """
import h5py
from pathlib import Path
science, _ = load(kind_of("ffn"), "small")
with Emitter() as out, gloo(out):
    folder = Path(__import__("os").environ["STACKWRIGHT_OUT"])
    with science.data(7, 100, out.rank, out.world) as read:
        files = sorted(folder.glob("*/*.h5"))
        with h5py.File(files[1]) as h5:
            assert h5["raw"].shape == h5["stack"].shape == (36, 24, 24, 24)
        found, drawn = read([99, 3, 64]), science.samples(7, [99, 3, 64])
        assert torch.equal(found.inputs[0], drawn.inputs[0])
        assert torch.equal(found.labels, drawn.labels)
    assert out.rank or not list(folder.glob("*/*.h5"))
"""


def test_volumes_are_streamed_from_hdf5_as_the_authors_store_them(tmp_path: Path) -> None:
    run = run_text(VOLUME_FILES, tmp_path / "out", ranks=2)

    assert run.finished(), run.output
