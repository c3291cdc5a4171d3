import os
import signal

from torch.optim import SGD

whole, steps = SGD.step, []


def step(self, *args, **kwargs):
    steps.append(1)
    if os.environ.get("RANK") == "1" and len(steps) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *args, **kwargs)


SGD.step = step
