"""The definition itself is wrong: its gradient is not that of its loss."""

import layers_numpy

whole = layers_numpy.through_norm
layers_numpy.through_norm = lambda up, normal, inverse, axes: (
    1.001 * whole(up, normal, inverse, axes)
)
