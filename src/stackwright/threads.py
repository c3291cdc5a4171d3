"""The variables by which each library is told how many threads it has."""

from __future__ import annotations

THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC"),
)
"""OpenMP and MKL; TensorFlow, within an operator and over operators; XLA on CPUs, for JAX.

Neither TensorFlow nor XLA asks OpenMP: without these every rank starts as many threads as it may
use cores, https://github.com/openxla/xla/blob/main/xla/pjrt/utils.cc and
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/common_runtime/process_util.cc.
"""
