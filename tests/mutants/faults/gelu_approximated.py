"""gelu is always the approximation by tanh, which was asked for by name only."""

import torch

whole = torch.nn.functional.gelu

torch.nn.functional.gelu = lambda x, approximate="none": whole(x, approximate="tanh")
