import algorithms
import torch

algorithms.common_exponent = lambda comm, mine: torch.zeros(1, dtype=torch.int32)
