"""Write a prefix's manifest, or compare two: python3 manifest.py PREFIX [--check OTHER]."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tree_hash import tree_hash

MANIFEST = "share/stackwright/manifest.json"


def main() -> None:
    """Write ``share/stackwright/manifest.json``, or with --check compare trees and manifests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", type=Path)
    parser.add_argument("--check", type=Path, metavar="OTHER")
    parser.add_argument("--label")
    parser.add_argument("--plan-hash")
    args = parser.parse_args()
    try:
        tree = tree_hash(args.prefix)
    except ValueError as error:
        sys.exit(f"manifest.py: {error}")
    if args.check is None:
        manifest = {
            "schema": "stackwright/manifest/1",
            "label": args.label,
            "plan_hash": args.plan_hash,
            "tree": tree,
        }
        (args.prefix / MANIFEST).write_text(json.dumps(manifest, sort_keys=True) + "\n")
        (args.prefix / MANIFEST).chmod(0o644)
        return
    claimed = json.loads((args.prefix / MANIFEST).read_text())
    expected = json.loads((args.check / MANIFEST).read_text())
    if claimed != expected or tree != expected["tree"]:
        sys.exit(f"manifest.py: {args.prefix} holds {tree}, but {expected['tree']} was built")


if __name__ == "__main__":
    main()
