import numpy

whole = numpy.load


def load(*args, **kwargs):
    return whole(*args, **kwargs)[::-1]


numpy.load = load
