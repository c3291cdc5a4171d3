"""Name the layers of an OCI layout by what they are.

skopeo 1.9 calls every layer of a docker archive gzip, though `docker save` compresses none.

    oci_layers.py LAYOUT
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"
GZIP_SUFFIX = "+gzip"


def main() -> None:
    """Rewrite the layout's one manifest, and the index that points to it."""
    layout = Path(sys.argv[1])
    blobs = layout / "blobs" / "sha256"
    index = json.loads((layout / "index.json").read_bytes())
    (descriptor,) = index["manifests"]
    old = blobs / descriptor["digest"].removeprefix("sha256:")
    manifest = json.loads(old.read_bytes())
    for layer in manifest["layers"]:
        with (blobs / layer["digest"].removeprefix("sha256:")).open("rb") as blob:
            if blob.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
                layer["mediaType"] = layer["mediaType"].removesuffix(GZIP_SUFFIX)
    data = json.dumps(manifest, separators=(",", ":")).encode()
    old.unlink()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    descriptor.update(digest=f"sha256:{digest}", size=len(data))
    (layout / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
