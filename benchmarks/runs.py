"""Figures of cases that have run, kept as JSON, found again by system, case and path."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True)
class Runs:
    """What one session has measured.

    Attributes:
        about: When, on which machine and server, with which versions.
        runs: The figures of each case, as `benchmarks.cases.measure` returns them.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    runs: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def load(cls, path: Path) -> Runs:
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(found["about"], found["runs"])

    def save(self, path: Path) -> None:
        """Write it, without the paths of this machine that errors may name."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"about": self.about, "runs": self.runs}, indent=1)
        for place, name in ((ROOT, "project"), (sys.base_prefix, "python"), (tempfile.gettempdir(), "temporary")):
            text = text.replace(str(place), f"<{name}>")
        path.write_text(f"{text}\n", encoding="utf-8")

    def of(self, case: str, system: str | None = None, procs: int | None = 1) -> Iterator[Mapping[str, Any]]:
        """Runs of a case that went well, of one system or of all."""
        for run in self.runs:
            wanted = system in (None, run["system"]) and procs in (None, run.get("procs", 1))
            if run["case"] == case and wanted and "error" not in run:
                yield run

    def figure(self, system: str, case: str, path: str, procs: int = 1) -> float | None:
        """The median of one figure over the runs of a case, None where there is none; `latency_ms.p50` is a path."""
        values = [value for run in self.of(case, system, procs) if (value := _at(run, path)) is not None]
        return statistics.median(values) if values else None

    def systems(self, case: str, procs: int = 1) -> list[str]:
        """Which systems have run a case, in that order."""
        return list(dict.fromkeys(run["system"] for run in self.of(case, procs=procs)))


def best(runs: Runs, base: str, among: Collection[str]) -> tuple[str, float] | None:
    """Of the systems `among` the one that drains fastest, and its share of the rate of `base` in the same runs."""
    base_rate = runs.figure(base, "drain", "rate")
    rates = {name: rate for name in among if (rate := runs.figure(name, "drain", "rate")) is not None}
    if not base_rate or not rates:
        return None
    name = max(rates, key=rates.__getitem__)
    return name, rates[name] / base_rate


def _at(run: Mapping[str, Any], path: str) -> float | None:
    value: Any = run
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
