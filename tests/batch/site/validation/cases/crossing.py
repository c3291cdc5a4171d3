"""Sums over both nodes, again and again; --bytes at a time, and how fast that went.

With --wait it goes on until it is ended.
"""

import argparse
import os
import time

import torch
import torch.distributed as dist
from emit import Emitter
from world import gloo

parser = argparse.ArgumentParser()
parser.add_argument("--bytes", type=int, default=1 << 22)
parser.add_argument("--times", type=int, default=8)
parser.add_argument("--wait", action="store_true")
options = parser.parse_args()

with Emitter() as out, gloo(out):
    ours = torch.ones(options.bytes // 4)
    dist.all_reduce(ours)
    out.check("summed", bool((ours == out.world).all()), "before it is timed")
    begun = time.monotonic()
    count = 0
    while options.wait or count < options.times:
        dist.all_reduce(torch.ones(options.bytes // 4))
        count += 1
    seconds = time.monotonic() - begun
    out.info("bytes a second", options.bytes * options.times / seconds)
    out.info("told", {n: os.environ.get(n) for n in ("GLOO_SOCKET_IFNAME", "UCX_NET_DEVICES")})
