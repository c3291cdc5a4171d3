"""MPI between two ranks: latency by ping-pong, bandwidth by a window of messages; all verified."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from emit import Emitter
from message_sizes import Message, messages
from mpi4py import MPI
from timing import summary

from probes import emit_ceilings

LARGEST = 4 << 20
# Messages under way at once, as in OSU's osu_bw.
WINDOW = 16
WINDOWS = 9


def pattern(size: int, turn: int) -> np.ndarray:
    """Fill a message with bytes that depend on the place and the turn."""
    return ((np.arange(size) + turn) % 251).astype(np.uint8)


def ping_pong(world: MPI.Comm, message: Message) -> tuple[list[float], int]:
    """Send a message to and fro: seconds one way of each round, and wrong bytes that came here."""
    other = 1 - world.Get_rank()
    received = np.zeros((message.at_once, message.bytes), np.uint8)
    seconds, wrong = [], 0
    for turn in range(message.rounds + 1):
        sent = pattern(message.bytes, turn)
        world.Barrier()
        begun = time.perf_counter()
        for buffer in received:
            if other:
                world.Send(sent, other)
                world.Recv(buffer, other)
            else:
                world.Recv(buffer, other)
                world.Send(sent, other)
        seconds.append((time.perf_counter() - begun) / message.at_once / 2)
        wrong += int(np.count_nonzero(received != sent))
    return seconds[1:], wrong


def window(world: MPI.Comm, size: int) -> tuple[list[float], int]:
    """Have rank 0 send many messages at once: seconds of each window, and wrong bytes at rank 1."""
    rank = world.Get_rank()
    seconds, wrong = [], 0
    received = np.zeros((WINDOW, size), np.uint8)
    for turn in range(WINDOWS + 1):
        sent = pattern(size, turn)
        answer = np.zeros(1, np.uint8)
        world.Barrier()
        begun = time.perf_counter()
        if rank == 0:
            MPI.Request.Waitall([world.Isend(sent, 1, tag) for tag in range(WINDOW)])
            world.Recv(answer, 1)
        else:
            MPI.Request.Waitall([world.Irecv(b, 0, tag) for tag, b in enumerate(received)])
            world.Send(answer, 0)
        seconds.append(time.perf_counter() - begun)
        wrong += int(np.count_nonzero(received != sent)) if rank == 1 else 0
    return seconds[1:], wrong


def main() -> None:
    """Run the case on two ranks.

    Raises:
        RuntimeError: if the launcher belongs to another MPI, or started another number of ranks.
    """
    world = MPI.COMM_WORLD
    with Emitter() as out:
        if world.Get_size() != 2:
            raise RuntimeError(f"COMM_WORLD has {world.Get_size()} ranks, not two")
        emit_ceilings(out, 1, "memcpy", "shm_latency")
        rows, total_wrong = [], 0
        for message in messages(LARGEST):
            seconds, wrong = ping_pong(world, message)
            total_wrong += wrong
            rate = message.bytes / median(seconds) / 1e9
            rows.append({"bytes": message.bytes, "GB/s": rate, **summary(seconds), "wrong": wrong})
        seconds, wrong = window(world, LARGEST)
        total_wrong += wrong
        if out.rank == 0:
            out.info("ping-pong, one way", rows)
            out.info("window", {"bytes": WINDOW * LARGEST, **summary(seconds), "wrong": wrong})
            out.metric("latency_p2p", rows[0]["least us"], "us")
            out.metric("bandwidth_p2p", WINDOW * LARGEST / median(seconds) / 1e9, "GB/s")
        out.check("bytes_exact", total_wrong == 0, f"{total_wrong} wrong bytes")


if __name__ == "__main__":
    main()
