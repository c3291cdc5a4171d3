"""Data-parallel training by Horovod: the same file for one process, mpiexec and horovodrun.

python train_horovod.py
mpiexec -n 2 python train_horovod.py
horovodrun -np 2 --mpi python train_horovod.py
"""

from __future__ import annotations

import horovod.torch as hvd
import torch
from torch import nn

STEPS = 200
BATCH = 64  # samples per rank and step


def main() -> None:
    """Learn the direction that a noisy label comes from; all ranks end with the same weights."""
    hvd.init()
    torch.manual_seed(0)
    truth = torch.randn(32)
    model = nn.Linear(32, 1)
    optimizer = hvd.DistributedOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1), named_parameters=model.named_parameters()
    )
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
    data = torch.Generator().manual_seed(1 + hvd.rank())  # each rank its own samples
    for _ in range(STEPS):
        x = torch.randn(BATCH, 32, generator=data)
        y = x @ truth + 5 * torch.randn(BATCH, generator=data)
        loss = nn.functional.mse_loss(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()  # starts to average each gradient over all ranks
        optimizer.step()  # waits for the averages
    found = nn.functional.cosine_similarity(model.weight[0], truth, dim=0)
    if hvd.rank() == 0:
        print(f"ranks: {hvd.size()}, direction found to {found:.4f}")
    hvd.shutdown()


if __name__ == "__main__":
    main()
