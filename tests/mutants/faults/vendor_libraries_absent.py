"""As torch would be where it was built without MKL: it computes the same, more slowly."""

import torch

torch.backends.mkl.is_available = lambda: False
