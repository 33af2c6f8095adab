"""Several runs of the same case, as one."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_DROPPED = frozenset({"round", "log"})


def medians(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One run for each system, case and number of processes, in the order of their first.

    A figure is the median of those that were measured; `rates` has the least and the most of `rate`, `rounds` how many
    runs there were. What is no number is that of the first. A case that failed each time keeps its error.
    """
    groups: dict[tuple[object, ...], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["system"], run["case"], run["procs"]), []).append(run)
    return [_one(group) for group in groups.values()]


def _one(group: list[Mapping[str, Any]]) -> dict[str, Any]:
    good = [run for run in group if "error" not in run]
    if not good:
        return dict(group[0])
    merged = _merge(good)
    rates = [run["rate"] for run in good if "rate" in run]
    return {**merged, "rounds": len(good), **({"rates": [min(rates), max(rates)]} if rates else {})}


def _merge(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [name for name in runs[0] if name not in _DROPPED]
    return {name: _value([run[name] for run in runs if run.get(name) is not None]) for name in names}


def _value(values: list[Any]) -> Any:
    if not values:
        return None
    first = values[0]
    if isinstance(first, Mapping):
        return _merge([value for value in values if isinstance(value, Mapping)])
    if isinstance(first, int | float) and not isinstance(first, bool):
        median = round(statistics.median(values), 4)
        return int(median) if all(isinstance(value, int) for value in values) and median == int(median) else median
    return first
