"""Shifter: what its images must satisfy, how they are laid out, and how they get to users."""
