"""Adapters: one module per kind of external program, and the one place that starts processes."""
