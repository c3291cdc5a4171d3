import algorithms

whole = algorithms.sparse_mean


def sparse_mean(comm, mine, weights):
    pairs = list(zip(mine, weights, strict=True))
    dense = [w * 0 if gradient is None else gradient for gradient, w in pairs]
    means, right = whole(comm, dense, weights), whole(comm, mine, weights)
    return [None if r is None else m for m, r in zip(means, right, strict=True)]


algorithms.sparse_mean = sparse_mean
