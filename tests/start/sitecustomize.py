"""What Python runs at the start of each process whose PYTHONPATH names this folder: see `tests/acl.py`."""

from __future__ import annotations

import sys

from tests.limits import Finder

sys.meta_path.insert(0, Finder())
