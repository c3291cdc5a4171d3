"""Stands for the tree hash in the test site."""
