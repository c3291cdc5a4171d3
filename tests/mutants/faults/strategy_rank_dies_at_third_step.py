import os
import signal

from _tensorflow import RANK
from tensorflow.python.eager.polymorphic_function import polymorphic_function

kind = polymorphic_function.Function
whole, steps = kind.__call__, []


def step(self, *args, **kwargs):
    steps.append(1)
    if RANK == "1" and len(steps) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *args, **kwargs)


kind.__call__ = step
