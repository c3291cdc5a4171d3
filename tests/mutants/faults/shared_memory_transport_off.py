"""MPICH sends through TCP what goes to a rank of the same node."""

import os

os.environ |= {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp,self"}
