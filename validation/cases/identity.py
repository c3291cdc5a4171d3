"""The bytes under the prefix that runs are the bytes that its manifest names."""

from __future__ import annotations

import sys
from pathlib import Path

from emit import Emitter, read_manifest
from tree_hash import tree_hash


def main() -> None:
    """Run the case."""
    with Emitter() as out:
        manifest = read_manifest(Path(sys.prefix))
        try:
            found = tree_hash(sys.prefix)
        except ValueError as error:
            out.check("tree_hash", False, str(error))
            return
        claimed = manifest["tree"] if manifest else "nothing: there is no manifest"
        out.check("tree_hash", found == claimed, f"{sys.prefix} has {found}, claims {claimed}")


if __name__ == "__main__":
    main()
