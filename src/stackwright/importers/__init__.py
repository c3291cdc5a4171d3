"""Reads results that were measured elsewhere: text in, one common table of measurements out.

Pure: `formats.read` gets a file's text. What a file lacks is a problem of its table, never an
exception, so that the gate says INVALID or HUNG where a reader would have guessed.
"""
