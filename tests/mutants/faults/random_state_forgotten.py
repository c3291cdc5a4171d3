import torch

torch.set_rng_state = lambda state: None
