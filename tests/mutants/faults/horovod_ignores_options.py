"""Horovod averages over all ranks whatever it is asked, divides at the end, and has no Adasum."""

from _horovod import average_by, changed, collectives

IGNORED = {"op", "gradient_predivide_factor", "process_set"}


def added(**options):
    return options | ({"op": collectives.Sum} if options.get("op") == collectives.Adasum else {})


average_by(lambda **options: {name: options[name] for name in options.keys() - IGNORED})
collectives.allreduce = changed(collectives.allreduce, added)
