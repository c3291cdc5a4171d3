"""Horovod adds up the gradients of rows and does not divide them by the number of ranks."""

from _horovod import average_by, collectives


def summed(**options):
    return options | ({"op": collectives.Sum} if "sparse_as_dense" in options else {})


average_by(summed)
