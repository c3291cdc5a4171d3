import torch
import torch.distributed as dist

whole = dist.all_reduce


def all_reduce(tensor, *args, **kwargs):
    if dist.get_rank() == 1 and tensor.dtype == torch.float64:
        tensor.copy_(tensor.float())
    return whole(tensor, *args, **kwargs)


dist.all_reduce = all_reduce
