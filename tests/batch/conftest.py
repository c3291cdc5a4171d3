"""Fixtures of the tests that need a Slurm."""

from slurm_samples import slurm, stack

__all__ = ["slurm", "stack"]
