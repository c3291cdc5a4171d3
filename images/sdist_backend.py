"""A build backend that answers pip from what the sources carry, and builds nothing.

It stands in for setuptools, which sources without a pyproject.toml are built by: pip asks for
metadata whatever it is told to do, and setuptools would run setup.py to answer. The standard's
PKG-INFO (https://packaging.python.org/specifications/source-distribution-format) says as much.
"""

from __future__ import annotations

import email
import shutil
from pathlib import Path


class Backend:
    """What pip calls, in the folder of the sources (PEP 517)."""

    def prepare_metadata_for_build_wheel(
        self,
        metadata_directory: str,
        config_settings: dict[str, str] | None = None,  # noqa: ARG002  (PEP 517's)
    ) -> str:
        """Give the metadata that lies in the sources."""
        info = email.message_from_bytes(Path("PKG-INFO").read_bytes())
        folder = Path(metadata_directory, f"{info['Name']}-{info['Version']}.dist-info")
        folder.mkdir()
        shutil.copy("PKG-INFO", folder / "METADATA")
        return folder.name


__legacy__ = Backend()  # what pip asks for where a pyproject.toml names no backend
prepare_metadata_for_build_wheel = __legacy__.prepare_metadata_for_build_wheel
