import algorithms
import torch

whole = algorithms.compressed_mean
algorithms.compressed_mean = lambda comm, mine, dtype: whole(comm, mine, torch.bfloat16)
