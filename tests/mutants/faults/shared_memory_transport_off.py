"""MPICH then sends through the network's stack what goes to a rank of the same node."""

import os

os.environ["MPIR_CVAR_NOLOCAL"] = "1"
