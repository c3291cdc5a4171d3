from torch.utils import data


class Same(data.DistributedSampler):
    def __init__(self, dataset, world, rank, **kwargs):
        super().__init__(dataset, world, 0, **kwargs)


data.DistributedSampler = Same
