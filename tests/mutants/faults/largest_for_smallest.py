import torch.distributed as dist

whole = dist.all_reduce


def all_reduce(tensor, *args, op=dist.ReduceOp.SUM, **kwargs):
    return whole(tensor, *args, op=dist.ReduceOp.MAX if op == dist.ReduceOp.MIN else op, **kwargs)


dist.all_reduce = all_reduce
