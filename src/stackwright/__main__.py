"""``python -m stackwright``: the command, where its script isn't on PATH."""

import sys

from stackwright.cli import main

sys.exit(main())
