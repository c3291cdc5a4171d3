"""Horovod sends in full what it is asked to send in float16."""

from _horovod import collectives

collectives.Compression.fp16 = collectives.Compression.none
