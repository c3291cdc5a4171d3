import torch

whole = torch.nn.functional.layer_norm
torch.nn.functional.layer_norm = lambda *args: whole(*args[:4], 1e-3)
