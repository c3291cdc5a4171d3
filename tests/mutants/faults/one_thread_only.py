"""As a start-up file does that is meant for log-in nodes."""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
