"""Rank 1 is given another seed than the rest, as when the one that is broadcast does not arrive."""

import os

import torch

whole = torch.manual_seed
torch.manual_seed = lambda seed: whole(seed + (os.environ.get("RANK") == "1"))
