"""What ranks find when Open MPI's launcher starts a program of MPICH: nothing of PMI.

Each then is a world of its own, and says that it is rank 0 of 1.
"""

import os

for name, other in (
    ("PMI_RANK", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"),
):
    if name in os.environ:
        os.environ[other] = os.environ[name]
for name in [
    name for name in os.environ if name.startswith(("PMI_", "PMIX_", "HYDI_", "MPI_LOCAL"))
]:
    del os.environ[name]
