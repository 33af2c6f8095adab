"""One worker process of a system that has no command for it, run in the environment of the system.

python -m benchmarks.work SYSTEM
"""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"benchmarks.peers.{sys.argv[1]}").worker()
