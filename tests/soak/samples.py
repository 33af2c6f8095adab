"""What is measured, and whether it stayed flat."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import redis

BUCKET_S = 60.0
"""The janitor prunes once a minute, and records and memory go up and down with it: of each minute the peak counts."""

MOST_GROWTH = 0.05


@dataclass
class Series:
    """One measure over time.

    Attributes:
        name: What it is of.
        unit: What its values are in.
        slack: So much growth is none, whatever the share: a connection more or less, a thread of a pool.
        points: (seconds since the start, value).
    """

    name: str
    unit: str
    slack: float
    points: list[tuple[float, float]] = field(default_factory=list)

    def peaks(self, from_s: float) -> list[tuple[float, float]]:
        """The highest value of each whole minute from `from_s` on."""
        buckets: dict[int, float] = {}
        for at, value in self.points:
            if at >= from_s:
                number = int((at - from_s) // BUCKET_S)
                buckets[number] = max(value, buckets.get(number, value))
        last = max(buckets, default=0)
        return [(float(number), value) for number, value in sorted(buckets.items()) if number < last]

    def growth(self, from_s: float) -> tuple[float, float, float]:
        """By a linear fit of the peaks: where it begins, where it ends, and the share by which it grew."""
        begin, end = fit(self.peaks(from_s))
        return begin, end, (end - begin) / begin if begin else 0.0

    def is_flat(self, from_s: float) -> bool:
        begin, end, share = self.growth(from_s)
        return share <= MOST_GROWTH or end - begin <= self.slack


def fit(points: list[tuple[float, float]]) -> tuple[float, float]:
    """The least-squares line through points, at the first and at the last of them."""
    if not points:
        return 0.0, 0.0
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return mean_y + slope * (points[0][0] - mean_x), mean_y + slope * (points[-1][0] - mean_x)


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def server_facts(client: redis.Redis) -> dict[str, float]:
    """What the server holds: bytes of its data, keys, connections."""
    return {
        "memory": float(client.info("memory")["used_memory"]),
        "keys": float(client.dbsize()),
        "clients": float(client.info("clients")["connected_clients"]),
    }
