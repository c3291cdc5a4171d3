import torch.distributed as dist

whole = dist.all_to_all_single


def all_to_all_single(result, mine, **kwargs):
    return whole(result, mine.roll(len(mine) // dist.get_world_size()), **kwargs)


dist.all_to_all_single = all_to_all_single
