"""Spack: environments rendered from a plan, and the locks that the real Spack makes of them."""
