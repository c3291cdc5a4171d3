"""Keras 3 makes its own optimizers of its own modules, and Horovod leaves it at that."""

import horovod._keras

horovod._keras.reduces = lambda _: True
