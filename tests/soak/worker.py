"""One worker process of the soak."""

from __future__ import annotations

import asyncio
import sys

from tests.soak.app import app
from tests.worker.processes import run_worker

if __name__ == "__main__":
    asyncio.run(run_worker(app, sys.argv[1], sys.argv[2:]))
