"""Horovod takes the last rank for the first, and the first for the last."""

from _horovod import FRAMEWORK, collectives

allgather, alltoall = collectives.allgather, collectives.alltoall
allgather_object, broadcast_object = collectives.allgather_object, collectives.broadcast_object


def backwards(tensor):
    return tensor.flip(0) if FRAMEWORK == "torch" else tensor[::-1]


def from_another(mine, root_rank):
    return broadcast_object(mine, root_rank=collectives.size() - 1 - root_rank)


collectives.allgather = lambda mine, **told: backwards(allgather(mine, **told))
collectives.alltoall = lambda mine, splits, **told: alltoall(mine, splits=splits[::-1], **told)
collectives.allgather_object = lambda mine: allgather_object(mine)[::-1]
collectives.broadcast_object = from_another
