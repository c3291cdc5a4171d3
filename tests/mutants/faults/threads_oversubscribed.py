"""Twice the threads that were granted, as when a start-up file sets them for a whole node."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(2 * int(os.environ[name]))
