"""As a module does that has one set of variables for all of a centre's processors."""

import os

os.environ["ONEDNN_MAX_CPU_ISA"] = "SSE41"
