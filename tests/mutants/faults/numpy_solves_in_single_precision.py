"""NumPy solves systems of equations in float32."""

import numpy as np

whole = np.linalg.solve

np.linalg.solve = lambda a, b: whole(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
