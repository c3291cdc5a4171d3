"""Cases of any framework: which ones are asked, and how ranks meet."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from payload_runs import (
    STACK_PYTHON,
    load_case_module,
    needs_stack,
    run_program,
    run_python,
    versions_of,
)

frameworks = load_case_module("frameworks")
meeting = load_case_module("meeting")


@pytest.mark.parametrize(
    ("locked", "found"),
    [
        ("torch=2.13.0+cpu,numpy=2.4.6", ["torch"]),
        ("absl-py=2.5,keras=3.15.1,tensorflow-cpu=2.21.0", ["tensorflow"]),
        ("jax=0.10.2,jaxlib=0.10.2", ["jax"]),
        ("torch=2.13.0,tensorflow-cpu=2.21.0", ["torch", "tensorflow"]),
    ],
)
def test_a_lock_tells_the_frameworks(locked: str, found: list[str]) -> None:
    assert frameworks.frameworks(frameworks.expected_versions(locked)) == found


def test_a_stack_without_a_framework_is_an_error_and_no_pass() -> None:
    with pytest.raises(ValueError, match="none of torch, tensorflow"):
        frameworks.frameworks({"numpy": "2.4.6"})


class Heard:
    """Keeps the checks that are emitted."""

    def __init__(self) -> None:
        self.checks: list[tuple[str, bool, str]] = []

    def check(self, name: str, ok: bool, detail: str) -> None:
        self.checks.append((name, ok, detail))


def test_a_check_fails_if_one_of_several_frameworks_fails_it() -> None:
    out = Heard()

    with frameworks.findings(out, ["torch", "jax"]) as found:
        for found.framework, ok in (("torch", True), ("jax", False)):
            found.check("shards", ok, "24 drawn")

    assert out.checks == [("shards", False, "torch: 24 drawn; jax: 24 drawn")]


def test_checks_that_were_made_are_emitted_though_a_framework_breaks_off() -> None:
    out = Heard()

    def broken() -> None:
        with frameworks.findings(out, ["torch"]) as found:
            found.framework = "torch"
            found.check("shards", True, "24 drawn")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()

    assert out.checks == [("shards", True, "24 drawn")]


def test_ranks_hear_each_other_in_order_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKWRIGHT_OUT", str(tmp_path))
    heard: dict[int, list[object]] = {}

    def rank(number: int) -> None:
        meet = meeting.Meeting(number, 3)
        heard[number] = [meet.gather(number * 10), meet.addresses(), meet.gather(["x"] * number)]

    ranks = [threading.Thread(target=rank, args=(number,)) for number in range(3)]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join(timeout=60)

    numbers, addresses, lists = heard[0]
    assert heard[1] == heard[2] == heard[0]
    assert numbers == [0, 10, 20]
    assert lists == [[], ["x"], ["x", "x"]]
    assert isinstance(addresses, list)
    assert len({*addresses}) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_rank_alone_needs_no_folder() -> None:
    assert meeting.Meeting(0, 1).gather("here") == ["here"]


# What oneDNN 3.7 and 3.12 print.
VERBOSE = r"""
import onednn

lines = (
    "onednn_verbose,v1,info,cpu,isa:Intel AVX-512",
    "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:ab::f0 dst:f32",
    "onednn_verbose,v1,primitive,exec,cpu,convolution,{conv},forward,src:f32::blocked:acdb::f0 w",
    "onednn_verbose,v1,primitive,exec,cpu,matmul,{matmul},undef,src:bf16::blocked:ab::f0 wei:bf16",
    "onednn_verbose,v1,primitive,exec,cpu,gemm_api,,undef,src_f32::blocked:ab:f0 wei_f32",
)


def judged(conv, matmul, flags):
    said = "\n".join(lines).format(conv=conv, matmul=matmul)
    return {name: used.ok for name, used in onednn.used(said, frozenset(flags.split())).items()}


avx512 = "avx2 fma avx512f avx512bw avx512dq avx512vl"
amx = avx512 + " amx_tile amx_bf16"
wide, narrow = "brg_conv_fwd:avx512_core", "jit:avx2"
tiles, rows = "brg_matmul:avx10_1_512_amx", "brg_matmul:avx512_core_bf16"
assert judged(wide, tiles, amx) == {"float32": True, "bfloat16": True}
assert judged(narrow, tiles, amx) == {"float32": False, "bfloat16": True}
assert judged(wide, rows, amx) == {"float32": True, "bfloat16": False}
assert judged(wide, rows, avx512) == {"float32": True, "bfloat16": True}
assert judged(narrow, narrow, "avx2 fma") == {"float32": True, "bfloat16": True}
silent = onednn.used("nothing was said", frozenset())
assert not silent["float32"].ok
assert not silent["bfloat16"].ok
kinds = [call.kind for call in onednn.calls("\n".join(lines))]
assert kinds == ["reorder", "convolution", "matmul", "gemm_api"]
"""


def test_kernels_are_judged_by_what_onednn_says_and_the_processor_has(tmp_path: Path) -> None:
    run = run_program(VERBOSE, tmp_path / "out")

    assert run.exit == 0, run.output


COUNTED = """
import tensorflow as tf
from operations_tensorflow import operations
a, b = tf.ones((3, 4)), tf.ones((4, 5))
assert operations(lambda: a @ b) == 2 * 3 * 4 * 5
assert operations(lambda: tf.matmul(a, b, transpose_a=False)) == 2 * 3 * 4 * 5
assert operations(lambda: tf.matmul(b, b, transpose_a=True)) == 2 * 5 * 4 * 5
assert operations(lambda: tf.einsum("nij,njk->nik", tf.ones((2, 3, 4)), tf.ones((2, 4, 5)))) == 240
assert operations(lambda: a + 1) == 0
image, kernel = tf.ones((2, 8, 8, 3)), tf.ones((3, 3, 3, 5))
once = 2 * (2 * 8 * 8 * 5) * (3 * 3 * 3)

def step():
    with tf.GradientTape() as tape:
        tape.watch([image, kernel])
        out = tf.nn.conv2d(image, kernel, 1, "SAME")
    tape.gradient(out, [image, kernel])

assert operations(step) == 3 * once
"""


@needs_stack
@pytest.mark.slow
@pytest.mark.long
def test_operations_of_tensorflow_are_those_of_the_formulas(tmp_path: Path) -> None:
    assert STACK_PYTHON is not None
    versions_of(Path(STACK_PYTHON), "tensorflow-certify")

    run = run_python([STACK_PYTHON, "-c", COUNTED], tmp_path / "out")

    assert run.exit == 0, run.output


RATES_OF_JAX = """
from gradients import STEPS, rates
from gradients_jax import schedule

for world in range(1, 9):
    found = [float(schedule(world)(step)) for step in range(STEPS)]
    assert found == rates(world), (world, found)
"""


@needs_stack
@pytest.mark.slow
def test_jax_trains_by_the_very_rates(tmp_path: Path) -> None:
    """A training in float64 is compared to 1e-12: rates that float32 rounds would fail it."""
    versions_of(Path(str(STACK_PYTHON)), "jax")

    run = run_python([str(STACK_PYTHON), "-c", RATES_OF_JAX], tmp_path / "out")

    assert run.exit == 0, run.output
