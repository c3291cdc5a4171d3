"""Communication: what its figures mean, and that a wrong element fails every case of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from payload_runs import load_case_module, needs_stack, run_case

sizes = load_case_module("message_sizes")
bottleneck = load_case_module("bottleneck")


@pytest.mark.parametrize("largest", [8, 9, 1000, 64 << 20, 256 << 20])
def test_messages_grow_from_8_bytes_to_the_largest(largest: int) -> None:
    found = [message.bytes for message in sizes.messages(largest)]

    assert (found[0], found[-1]) == (8, largest)
    assert all(a < b <= 8 * a for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("collective", "bus"),
    [
        ("allreduce", 1.5),
        ("allgather", 0.75),
        ("reduce_scatter", 0.75),
        ("broadcast", 1.0),
        ("alltoall", 0.75),
    ],
)
def test_bus_bandwidth_is_that_of_nccl_tests(collective: str, bus: float) -> None:
    assert sizes.bandwidths(collective, 10**9, 1.0, 4) == (1.0, bus)


@pytest.mark.parametrize(
    ("size", "world", "count"), [(8, 2, 2), (8, 3, 3), (4096, 2, 1024), (4096, 3, 1026)]
)
def test_a_message_divides_into_a_part_for_each_rank(size: int, world: int, count: int) -> None:
    assert sizes.whole_parts(size, 4, world) == count


@pytest.mark.parametrize(("both", "share"), [(9, 1.0), (12, 0.0), (14, 0.0), (10.5, 0.5), (8, 1.0)])
def test_computing_hides_communication(both: float, share: float) -> None:
    assert bottleneck.hidden(9, 3, both) == share


# --- faults: those of tests/mutants, and others --------------------------------------------------


@needs_stack
@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "backend", "fault"),
    [
        ("mpirun", "mpi", "wrong_element_in_large_mpi_sums"),
        ("torchrun", "gloo", "pieces_reduced_for_another_rank"),
        *(
            pytest.param("torchrun", "gloo", fault, marks=pytest.mark.long)
            for fault in (
                "wrong_element_in_large_broadcasts",
                "pieces_gathered_in_wrong_order",
                "pieces_sent_to_another_rank",
            )
        ),
    ],
)
def test_a_wrong_element_of_a_collective_shows(
    launcher: str, backend: str, fault: str, tmp_path: Path, roofline: Path
) -> None:
    injector = {
        "pieces_gathered_in_wrong_order": "pieces_joined_in_wrong_order",
        "pieces_sent_to_another_rank": "pieces_sent_to_wrong_rank",
    }.get(fault, fault)
    run = run_case(
        *(launcher, "collectives_bandwidth", "--backend", backend, "--largest", str(1 << 20)),
        out=tmp_path / "out",
        env={"STACKWRIGHT_ROOFLINE": str(roofline)},
        fault=injector,
    )

    assert run.finished(), run.output
    assert run.failed() == {"elements_exact"}


@needs_stack
@pytest.mark.slow
def test_a_message_that_arrives_damaged_shows(tmp_path: Path, roofline: Path) -> None:
    env = {"STACKWRIGHT_ROOFLINE": str(roofline)}
    fault = "byte_of_a_message_off"
    run = run_case("mpirun", "point_to_point", out=tmp_path / "out", env=env, fault=fault)

    assert run.finished(), run.output
    assert run.failed() == {"bytes_exact"}


@needs_stack
@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        "sum_for_mean",
        pytest.param("gradients_of_a_rank_in_low_precision", marks=pytest.mark.long),
    ],
)
def test_wrong_means_of_an_overlapped_allreduce_show(
    fault: str, tmp_path: Path, roofline: Path
) -> None:
    run = run_case(
        *("mpirun", "overlap", "--threads", "1"),
        out=tmp_path / "out",
        env={"STACKWRIGHT_ROOFLINE": str(roofline)},
        fault=fault,
    )

    assert run.finished(), run.output
    assert run.failed() == {"means_verified"}
