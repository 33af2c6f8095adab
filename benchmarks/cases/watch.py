"""What others took of the machine during a case: figures taken while they took much are to be doubted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.stage import Stage


@contextmanager
def watching_others(stage: Stage) -> Iterator[dict[str, Any]]:
    """Yields a dict that has `other_cpu_cores` at the end."""
    found: dict[str, Any] = {}
    before, at = stage.others_cpu_s(), time.monotonic()
    yield found
    found["other_cpu_cores"] = round((stage.others_cpu_s() - before) / max(1e-9, time.monotonic() - at), 2)
