"""What an older torch, installed somewhere else, says of itself is found first."""

import os
import sys
from pathlib import Path

folder = Path(os.environ["STACKWRIGHT_OUT"], "elsewhere")
installed = folder / "torch-0.4.1.dist-info"
installed.mkdir(parents=True, exist_ok=True)
(installed / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.4.1\n")
sys.path.insert(0, str(folder))
