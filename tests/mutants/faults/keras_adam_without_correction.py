"""Adam doesn't correct the bias of its means, which begin as zeros."""

import keras


def update_step(self, gradient, variable, learning_rate):
    place = self._get_variable_index(variable)
    mean, square = self._momentums[place], self._velocities[place]
    mean.assign(mean + (gradient - mean) * (1 - self.beta_1))
    square.assign(square + (gradient**2 - square) * (1 - self.beta_2))
    root = keras.ops.sqrt(square) + self.epsilon
    variable.assign(variable - keras.ops.cast(learning_rate, variable.dtype) * mean / root)


keras.optimizers.Adam.update_step = update_step
