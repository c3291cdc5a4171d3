"""Start-up: commands that should answer at once, beside an interpreter that does nothing.

Whole processes. `import click` is the floor of a command line; ReFrame's `--version`, where it is
installed, is what a tool of this field takes.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import measure

FLOOR = "`python -c pass`"


def main() -> None:
    """Print the table."""
    chosen = measure.options(__doc__).parse_args()
    with measure.copied_site() as site, tempfile.TemporaryDirectory() as store:
        options = ["--site", str(site), "--store", store]
        stackwright = [measure.STACKWRIGHT, *options]
        commands = {
            FLOOR: [sys.executable, "-c", "pass"],
            "`python -c 'import click'`": [sys.executable, "-c", "import click"],
            "`stackwright --help`": [*stackwright, "--help"],
            "`stackwright list`": [*stackwright, "list"],
            "`stackwright plan pytorch`": [*stackwright, "plan", "pytorch"],
        }
        if (reframe := Path(sys.executable).with_name("reframe")).is_file():
            commands["`reframe --version`"] = [str(reframe), "--version"]
        sides = {name: partial(measure.seconds, argv) for name, argv in commands.items()}
        measure.take_turns(sides, rounds=1)  # fills the caches
        samples = measure.take_turns(sides, rounds=3 if chosen.quick else 21)
    print(measure.comparison(samples, FLOOR))


if __name__ == "__main__":
    main()
