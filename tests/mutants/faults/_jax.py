"""The rank of a process that mpiexec has started."""

import os

RANK = os.environ.get("PMI_RANK", "0")
