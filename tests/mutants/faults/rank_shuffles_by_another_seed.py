from torch.utils import data


class Own(data.DistributedSampler):
    def __init__(self, dataset, world, rank, seed=0, **kwargs):
        super().__init__(dataset, world, rank, seed=seed + rank, **kwargs)


data.DistributedSampler = Own
