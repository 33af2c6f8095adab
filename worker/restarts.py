"""Restarts of a process that ends when it should not: at once, then later and later."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Restarts:
    """How long to wait before the next start. All in seconds.

    Attributes:
        first_s: The wait after the first failure; twice as long with each that follows.
        most_s: The longest.
        healthy_s: One that lived this long begins again with the shortest.
        failures: In a row.
    """

    first_s: float
    most_s: float
    healthy_s: float
    failures: int = 0

    def wait_s(self, lived_s: float) -> float:
        """The wait before the next start of one that has ended after `lived_s`."""
        self.failures = 1 if lived_s >= self.healthy_s else self.failures + 1
        return float(min(self.most_s, self.first_s * 2.0 ** (min(self.failures, 30) - 1)))
