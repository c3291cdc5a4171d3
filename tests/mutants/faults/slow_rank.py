"""Rank 1 computes at half speed, and all others wait for it."""

import os

import break_it

if os.environ.get("PMI_RANK") == "1":
    break_it.SLOWDOWN = 0.5
    break_it.slow_down()
