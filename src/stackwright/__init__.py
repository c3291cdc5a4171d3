"""Build, certify and release deep-learning software stacks for HPC centres."""

__version__ = "0.1.0"
