"""The pieces that are gathered into one tensor are joined from the last rank to the first."""

import torch
import torch.distributed as dist

# The older name, and PyTorch 2.13's.
whole = dist.all_gather_into_tensor


def wrong(result, mine):
    whole(result, mine)
    result.copy_(torch.cat(result.chunk(dist.get_world_size())[::-1]))


dist.all_gather_into_tensor = dist.all_gather_single = wrong
