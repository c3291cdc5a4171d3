"""What Horovod sends in float16 is a hundredth too large."""

from _horovod import collectives

whole = collectives.Compression.fp16.compress
collectives.Compression.fp16.compress = lambda tensor: whole(tensor * 1.01)
