"""Every epoch has the order of the first."""

from torch.utils.data import DistributedSampler

DistributedSampler.set_epoch = lambda self, epoch: None
