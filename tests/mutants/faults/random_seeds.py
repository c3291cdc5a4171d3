import torch

torch.manual_seed = lambda seed: torch.seed()
