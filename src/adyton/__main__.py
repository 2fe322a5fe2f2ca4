"""`python -m adyton`."""

from __future__ import annotations

import sys

from adyton.cli import main

if __name__ == "__main__":
    sys.exit(main())
