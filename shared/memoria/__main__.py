"""``python -m memoria`` is ``memoria``."""

import sys

from memoria.cli import main

sys.exit(main())
