"""The kernels: what their figures mean, and that a wrong result fails them.

That each case reports what its suite names is tested in test_payload.py, for all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import (
    STACK_PYTHON,
    load_case_module,
    needs_stack,
    run_broken,
    run_case,
    run_python,
)

timing = load_case_module("timing")


@pytest.mark.parametrize(
    ("percent", "found"), [(0, 1.0), (1, 1.0), (50, 2.0), (75, 3.0), (76, 4.0), (99, 4.0)]
)
def test_a_percentile_is_one_of_the_times(percent: float, found: float) -> None:
    assert timing.percentile([3.0, 1.0, 4.0, 2.0], percent) == found


def test_every_repetition_is_verified_and_those_that_warm_up_are_not_timed() -> None:
    results = iter(range(9))
    seen: list[int] = []

    seconds = timing.verified_seconds(lambda: next(results), seen.append, 3, warm_up=2)

    assert len(seconds) == 3
    assert seen == [0, 1, 2, 3, 4]


def test_fewer_than_a_hundred_times_have_the_longest_as_their_99th_percentile() -> None:
    assert timing.summary([2e-6, 1e-6, 5e-6]) == {
        "least us": pytest.approx(1),
        "p50 us": pytest.approx(2),
        "p99 us": pytest.approx(5),
        "repetitions": 3,
    }


WRONG_ANYWHERE = """
import torch
import kernels

def shown(kernel, place=None, by=1.0):
    found = kernel.run()
    for result in found if place else ():
        result.flatten()[int(place * (result.numel() - 1))] += by * result.abs().max()
    return kernel.error(found) > kernel.tolerance

kernels.GEMM_SIZE[torch.float32], kernels.CONV = 64, (3, 4, 5, 8, 3)
for kernel in (kernels.gemm(torch.float32, 1e-5), kernels.conv2d()):
    assert not shown(kernel)
    for place in (0.1, 0.5, 0.9, 1.0):
        assert shown(kernel, place, 0.01), place
        assert shown(kernel, place, torch.nan), place
    assert not shown(kernel)

product = kernels.gemm(torch.float32, 1e-5)
(result,) = product.run()
product.error([result])
assert product.error([result]) == torch.inf, "what is not computed again may not count"
"""


@needs_stack
def test_one_wrong_element_shows_wherever_it_is(tmp_path: Path) -> None:
    assert STACK_PYTHON is not None

    run = run_python([STACK_PYTHON, "-c", WRONG_ANYWHERE], tmp_path / "out")

    assert run.exit == 0, run.output


ROUNDED = """
import torch
{where} as owner
whole = owner.{name}
def rounded(*args, **kwargs):
    args = [a.bfloat16().to(a.dtype) if torch.is_tensor(a) and a.is_floating_point() else a
            for a in args]
    return whole(*args, **kwargs)
owner.{name} = rounded
"""
FUNCTIONAL = "import torch.nn.functional"
# In the middle of the timed repetitions, and then never again.
WRONG_ONCE = """
import torch
whole, calls = torch.mm, []
def mm(a, b, out):
    calls.append(1)
    whole(a, b, out=out)
    return out.mul_(2) if len(calls) == 3 else out
torch.mm = mm
"""
BIAS_NOT_CORRECTED = """
import torch
torch.optim.Adam = lambda parameters, lr, **rest: torch.optim.RMSprop(parameters, lr, alpha=0.999)
"""


@needs_stack
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(
            ROUNDED.format(where=FUNCTIONAL, name="conv2d"),
            ("conv2d_fp32", "depthwise_fp32"),
            id="convolutions",
        ),
        pytest.param(WRONG_ONCE, ("gemm_bf16",), id="one gemm of many"),
        pytest.param(
            ROUNDED.format(where=FUNCTIONAL, name="scaled_dot_product_attention"),
            ("attention_fp32",),
            id="attention",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ROUNDED.format(where=FUNCTIONAL, name="batch_norm"),
            ("batch_norm_fp32",),
            id="batch-norm",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ROUNDED.format(where="import torch.fft", name="rfftn"),
            ("fft_fp32",),
            id="fft",
            marks=pytest.mark.long,
        ),
        pytest.param(BIAS_NOT_CORRECTED, ("adam_fp32",), id="adam", marks=pytest.mark.long),
    ],
)
@pytest.mark.slow
def test_a_wrong_kernel_shows(
    fault: str, told: tuple[str, ...], tmp_path: Path, roofline: Path
) -> None:
    args = ("--threads", "1", "--repetitions", "3")
    run = run_broken(fault, "none", "kernels", *args, folder=tmp_path, roofline=roofline)

    assert run.failed() == {"results_verified"}, run.output
    parts = run.values("check")["results_verified"]["detail"].split(", limit ")
    errors = " ".join(parts)  # "gemm_bf16: 2.9e-03 4e-03, conv2d_fp32: ..."
    wrong = [
        name
        for name, error, limit in (part.split() for part in errors.split(", "))
        if float(error) > float(limit)
    ]
    assert tuple(name.rstrip(":") for name in wrong) == told


# What FlopCounterMode alone does not see, by hand. Of an LSTM: four gates forward, and backward to
# weights and to each state but the first. Of a transformer: four projections, two dense layers and
# the vocabulary, and attention's two products, with twice the work backward; all tokens are seen.
COUNTED = """
from nersc_networks import NETWORKS
from operations import operations
from tasks import steps
lstm, transformer = (
    operations(steps(NETWORKS["small"][name], lambda network: network))
    for name in ("lstm", "transformer")
)
samples, times, wide = 16, 50, 128
gates = 2 * 4 * wide * wide
assert lstm == samples * ((2 * 2 * times + times - 1) * gates + 3 * 2 * wide * 4), lstm
samples, tokens, wide, layers, words = 8, 64, 128, 4, 1024
dense = 3 * 2 * tokens * (6 * wide * wide * layers + wide * words)
assert transformer == samples * (dense + 3 * 2 * 2 * tokens**2 * wide * layers), transformer
print("held")
"""


@needs_stack
def test_operations_do_not_depend_on_fused_kernels(tmp_path: Path) -> None:
    run = run_python([str(STACK_PYTHON), "-W", "ignore", "-c", COUNTED], tmp_path / "out")

    assert run.output == "held\n"


CLIMBS = """
import torch
whole = torch.optim.{kind}.step
def step(self, *args, **kwargs):
    for group in self.param_groups:
        for parameter in group["params"]:
            parameter.grad.neg_()
    return whole(self, *args, **kwargs)
torch.optim.{kind}.step = step
"""
LOSS_IS_NO_NUMBER = """
import torch
whole = torch.nn.functional.cross_entropy
torch.nn.functional.cross_entropy = lambda *args, **kwargs: whole(*args, **kwargs) * float("nan")
"""


@needs_stack
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "group", "told"),
    [
        pytest.param(
            CLIMBS.format(kind="Adam"),
            "nersc",
            {"alexnet", "resnet50", "cnn3d", "lstm", "transformer", "dcgan"},
            id="Adam",
        ),
        pytest.param(
            CLIMBS.format(kind="Adamax"),
            "science",
            {"icecube_gnn"},
            id="Adamax",
            marks=pytest.mark.long,
        ),
        pytest.param(
            LOSS_IS_NO_NUMBER,
            "science",
            {"climate_deeplab", "climate_tiramisu", "resnet50"},
            id="cross-entropy",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_step_that_does_not_train_shows(
    fault: str, group: str, told: set[str], tmp_path: Path, roofline: Path
) -> None:
    args = ("--group", group, "--threads", "1", "--steps", "2")
    run = run_broken(fault, "none", "train_throughput", *args, folder=tmp_path, roofline=roofline)

    assert run.finished(), run.output
    assert run.failed() == {"loss_falls"}
    parts = run.values("check")["loss_falls"]["detail"].split(", ")
    found = {name: ends.split(" to ") for name, ends in (part.split(": from ") for part in parts)}
    assert {n for n, (first, last) in found.items() if not float(last) < float(first)} == told


@needs_stack
@pytest.mark.parametrize(
    ("fault", "threads", "told"),
    [
        ("launch_lost", "1", "launch_operator: 999 counted, not 1000"),
        # run_case grants one.
        (None, "2", "launch_region: 200 counted, not 400"),
    ],
    ids=["lost", "too few threads"],
)
def test_a_launch_that_did_not_happen_shows(
    fault: str | None, threads: str, told: str, tmp_path: Path, roofline: Path
) -> None:
    env = {"STACKWRIGHT_ROOFLINE": str(roofline)}
    case = ("none", "launch_latency", "--threads", threads)
    run = run_case(*case, out=tmp_path / "out", env=env, fault=fault)

    assert run.finished(), run.output
    assert run.failed() == {"launches_counted"}
    assert run.details() == [told]
