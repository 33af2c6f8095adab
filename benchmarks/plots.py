"""Plots as SVG, by matplotlib (`pip install 'duestream[bench]'`). The same figures make the same file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.runs import Runs
from benchmarks.targets import LOOP

NAMES = ("drain", "latency", "delayed", "pending")
"""Of the plots that compare systems."""

OURS, OTHERS, BOUNDS = "#1f6feb", "#8c959f", "#d0a215"


def bars(path: Path, title: str, unit: str, values: Mapping[str, float], *, log: bool = True) -> None:
    """A horizontal bar for each system, ours and the bounds in colours of their own."""
    names = sorted(values, key=values.__getitem__)
    with _figure(path, title, height=0.6 + 0.28 * len(names)) as axes:
        drawn = axes.barh(names, [values[name] for name in names], color=[_color(name) for name in names])
        axes.bar_label(drawn, [_short(values[name]) for name in names], padding=3, fontsize=8)
        axes.set_xlabel(unit)
        if log:
            axes.set_xscale("log")
        axes.margins(x=0.15)


def lines(path: Path, title: str, x: str, y: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """A line for each series over a logarithmic axis."""
    with _figure(path, title, height=3.2) as axes:
        for name, points in series.items():
            axes.plot([one for one, _ in points], [two for _, two in points], marker="o", label=name)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if len(series) > 1:
            axes.legend()


def of_systems(peers: Runs, ours: Runs) -> dict[str, Callable[[Path], None]]:
    """The plots that compare systems, by the name of their file; ours come from our own runs where there are some."""
    drain = _shares(peers) | _shares(ours)
    latency = _figures(peers, "latency", "latency_ms.p50") | _figures(ours, "latency", "latency_ms.p50")
    late = _figures(peers, "delayed", "lag_ms.p99") | _figures(ours, "delayed", "lag_ms.p99")
    pending = _figures(peers, "pending", "bytes_per_job") | _figures(ours, "pending", "bytes_per_job")
    return {
        "drain": lambda path: bars(path, "Drain of no-op jobs, one process", f"% of {LOOP} of the same run", drain),
        "latency": lambda path: bars(path, "Latency at 50 jobs/s, p50", "ms", latency),
        "delayed": lambda path: bars(path, "Lateness of delayed jobs, p99", "ms", late),
        "pending": lambda path: bars(path, "Redis memory of a pending job", "bytes", pending, log=False),
    }


def _shares(runs: Runs) -> dict[str, float]:
    base = runs.figure(LOOP, "drain", "rate")
    return {name: 100 * rate / base for name, rate in _figures(runs, "drain", "rate").items()} if base else {}


def _figures(runs: Runs, case: str, path: str) -> dict[str, float]:
    return {name: value for name in runs.systems(case) if (value := runs.figure(name, case, path)) is not None}


def _short(value: float) -> str:
    """Two digits, or all there are before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _color(name: str) -> str:
    system = name.partition(":")[0]
    return {"duestream": OURS, "raw": BOUNDS, "redis_py": BOUNDS, "sketch": BOUNDS}.get(system, OTHERS)


@contextmanager
def _figure(path: Path, title: str, height: float) -> Any:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Text as text, no date, and ids that follow from the content: what has not changed makes no diff.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name, "font.size": 9}):
        figure = Figure(figsize=(8, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        yield axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
