import torch.distributed as dist

whole = dist.all_reduce


def all_reduce(tensor, *args, group=None, **kwargs):
    if group is not None and dist.get_rank() == 1:
        tensor.zero_()
    return whole(tensor, *args, group=group, **kwargs)


dist.all_reduce = all_reduce
