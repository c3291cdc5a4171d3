"""Horovod's callback leaves each rank the metrics of its own samples."""

from horovod._keras.callbacks import MetricAverageCallbackImpl

MetricAverageCallbackImpl.on_epoch_end = lambda *_: None
