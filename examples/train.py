"""Data-parallel training on a released stack: the same file for one process, torchrun and mpiexec.

python train.py
torchrun --nproc-per-node 2 train.py
mpiexec -n 2 python train.py
"""

from __future__ import annotations

import gc
import os
import socket

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

STEPS = 200
BATCH = 64  # samples per rank and step


def join() -> None:
    """Join the default process group, whoever started this process."""
    if "MASTER_ADDR" not in os.environ:
        meet_by_mpi()  # not torchrun; without mpiexec MPI knows one rank
    dist.init_process_group("gloo")


def meet_by_mpi() -> None:
    """Tell torch.distributed what MPI knows: who is who, and where rank 0 listens."""
    from mpi4py import MPI  # starts MPI

    world = MPI.COMM_WORLD
    with socket.socket() as free:
        free.bind(("", 0))
        address, port = world.bcast((socket.gethostname(), free.getsockname()[1]))
    os.environ |= {"MASTER_ADDR": address, "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(world.rank), "WORLD_SIZE": str(world.size)}


def main() -> None:
    """Learn the direction that a noisy label comes from; all ranks end with the same weights."""
    join()
    torch.manual_seed(0)
    truth = torch.randn(32)
    model = DistributedDataParallel(nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = torch.Generator().manual_seed(1 + dist.get_rank())  # each rank its own samples
    for _ in range(STEPS):
        x = torch.randn(BATCH, 32, generator=data)
        y = x @ truth + 5 * torch.randn(BATCH, generator=data)
        loss = nn.functional.mse_loss(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()  # the mean gradient over all ranks
        optimizer.step()
    found = nn.functional.cosine_similarity(model.module.weight[0], truth, dim=0)
    if dist.get_rank() == 0:
        print(f"ranks: {dist.get_world_size()}, direction found to {found:.4f}")
    dist.barrier()  # nobody leaves while another still talks
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    # DDP's threads live until the garbage collector finds the model. Left to Python's own end, they
    # now and then abort a rank that has finished.
    gc.collect()
