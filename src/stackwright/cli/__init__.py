"""The command line: the only part of Stackwright that prints."""

from stackwright.cli.app import main

__all__ = ["main"]
