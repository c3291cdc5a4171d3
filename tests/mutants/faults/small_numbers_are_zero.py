"""The processor takes small numbers for zero, as after loading what -ffast-math linked."""

import torch

torch.set_flush_denormal(True)
