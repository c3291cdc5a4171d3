"""Releases: the pointers that users follow, moved only by a certificate, always reversibly."""
