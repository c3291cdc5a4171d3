"""Horovod's optimizer is made of another's configuration alone."""

import horovod._keras

horovod._keras.carry = lambda *_: None
