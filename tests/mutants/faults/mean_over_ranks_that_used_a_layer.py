import algorithms
import torch

whole = algorithms.sparse_mean


def sparse_mean(comm, mine, weights):
    used = torch.tensor([float(gradient is not None) for gradient in mine])
    share = algorithms.mean_over_ranks(comm, used).tolist()
    means = whole(comm, mine, weights)
    return [mean if mean is None else mean / s for mean, s in zip(means, share, strict=True)]


algorithms.sparse_mean = sparse_mean
