"""A rank whose gradients overflow skips a step that the others take."""

import horovod._keras

horovod._keras.skip_together = lambda _: None
