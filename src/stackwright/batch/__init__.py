"""Batch schedulers: what a job asks for, its script, and what follows a job that was submitted."""
