"""Horovod names the first rank as the one that has trained for longest."""

import horovod.torch as horovod

whole = horovod.join
horovod.join = lambda: whole() * 0
