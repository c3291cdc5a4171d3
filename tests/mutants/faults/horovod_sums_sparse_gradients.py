"""Horovod adds up the gradients of rows and does not divide them by the number of ranks."""

from _horovod import average_by, collectives


def summed(**options):
    # Of the two modules for Keras, the one hands all options to the other on, by name.
    asked = "sparse_as_dense" in options and "device_sparse" not in options
    return options | ({"op": collectives.Sum} if asked else {})


average_by(summed)
