"""Each collective of Horovod gives its last element one too large on rank 0."""

import horovod.torch as horovod


def off(whole):
    def collective(*args, **kwargs):
        found = whole(*args, **kwargs)
        if horovod.rank() == 0 and found.numel():
            found.view(-1)[-1] += 1
        return found

    return collective


for name in ("allreduce", "allreduce_", "broadcast", "allgather", "reducescatter", "alltoall"):
    setattr(horovod, name, off(getattr(horovod, name)))
