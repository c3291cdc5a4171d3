"""As a module does that has one set of variables for all of a centre's processors."""

import os

# MKL's first variable has no effect on processors of AMD, the second one has.
os.environ |= {
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Prescott",
}
