"""autocast changes nothing: all is computed in float32, several times slower."""

import torch

torch.autocast.__enter__ = lambda self: self
torch.autocast.__exit__ = lambda self, *_: None
