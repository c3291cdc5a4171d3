import torch.distributed as dist

whole = dist.all_gather


def all_gather(parts, mine, **kwargs):
    return whole(parts[::-1], mine, **kwargs)


dist.all_gather = all_gather
