"""Rank 1 draws its first weights with another seed than the rest, and ignores theirs."""

import keras
from _tensorflow import RANK

whole = keras.utils.set_random_seed
keras.utils.set_random_seed = lambda seed: whole(seed + (RANK == "1"))
