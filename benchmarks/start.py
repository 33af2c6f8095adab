"""How long a process needs before it does anything."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.systems import ROOT

TIMES = 7

IMPORT = """
import time
began = time.perf_counter()
from scheduler import App, MutationContext, Scheduler
print((time.perf_counter() - began) * 1000)
"""


def measure() -> dict[str, Any]:
    """Medians in ms: the first import of what an app needs of `scheduler`, and all of `duestream --help`."""
    imports, helps = [], []
    program = str(Path(sys.executable).parent / "duestream")
    # As it is where Python may keep what it has compiled; the first round of both compiles.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    for _ in range(1 + TIMES):
        imports.append(float(subprocess.check_output([sys.executable, "-c", IMPORT], cwd=ROOT, env=environment)))
        began = time.perf_counter()
        subprocess.check_output([program, "--help"], env=environment)
        helps.append((time.perf_counter() - began) * 1000)
    import_ms, help_ms = (round(statistics.median(times[1:]), 1) for times in (imports, helps))
    return {"system": "duestream", "case": "start", "procs": 1, "import_ms": import_ms, "help_ms": help_ms}
