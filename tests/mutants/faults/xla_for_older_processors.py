import os

os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa=SSE4_2"
