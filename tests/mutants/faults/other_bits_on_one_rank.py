import algorithms
import torch

whole = algorithms.compressed_mean


def compressed_mean(comm, mine, dtype):
    mean = whole(comm, mine, dtype)
    return mean * (1 + comm.rank * torch.finfo(mean.dtype).eps)


algorithms.compressed_mean = compressed_mean
