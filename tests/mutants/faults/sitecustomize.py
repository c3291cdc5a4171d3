"""Runs the fault that STACKWRIGHT_FAULT names, in every Python process of a run.

Python imports a module of this name when it starts, before the case (docs of `site`).
"""

import importlib
import os

importlib.import_module(os.environ["STACKWRIGHT_FAULT"])
