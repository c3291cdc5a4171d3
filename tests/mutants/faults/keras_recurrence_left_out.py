"""An LSTM forgets what it gave a step before."""

import keras

whole = keras.layers.LSTMCell.call


def call(self, inputs, states, training=False):
    hidden, cell = states
    return whole(self, inputs, [hidden * 0, cell], training=training)


keras.layers.LSTMCell.call = call
