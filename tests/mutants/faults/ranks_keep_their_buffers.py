"""Steps begin with each rank's own buffers, in place of rank 0's."""

from torch.nn.parallel import DistributedDataParallel

DistributedDataParallel._sync_buffers = lambda self: None
