"""What DDP wraps stays each rank's own."""

from torch.nn.parallel import distributed

distributed._sync_module_states = lambda *args, **kwargs: None
