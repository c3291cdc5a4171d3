"""The kernels: what their figures mean, and that a wrong result fails them.

That each case reports what its suite names is tested in test_payload.py, for all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import load_case_module, needs_stack, run_broken

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
