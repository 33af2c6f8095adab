"""Distributions, as a few figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles in ms of times in seconds; empty where there are none."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in shares.items()}
    found |= {"min": ordered[0], "max": ordered[-1], "mean": statistics.fmean(ordered)}
    return {name: round(value * 1000, 2) for name, value in found.items()}
