"""A limit on OpenMP's threads, as a job script that was written for another program sets it."""

import os

os.environ["OMP_THREAD_LIMIT"] = "1"
