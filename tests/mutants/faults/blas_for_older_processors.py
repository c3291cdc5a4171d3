"""As a module does that has one set of variables for all of a centre's processors."""

import os

os.environ |= {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "OPENBLAS_CORETYPE": "Prescott"}
