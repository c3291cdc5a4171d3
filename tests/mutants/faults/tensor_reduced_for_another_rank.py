"""The sum of one tensor of all pieces gives each rank another one's."""

import torch
import torch.distributed as dist

# The older name, and PyTorch 2.13's.
whole = dist.reduce_scatter_tensor


def wrong(result, mine):
    whole(result, torch.cat(mine.chunk(dist.get_world_size())[::-1]))


dist.reduce_scatter_tensor = dist.reduce_scatter_single = wrong
