"""``python -m bridge`` is ``sample-bridge``."""

import sys

from bridge.cli import main

sys.exit(main())
