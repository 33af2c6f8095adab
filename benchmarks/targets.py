"""The targets, and whether figures reach them. Pure: figures in, rows of a table out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.runs import Runs, best

LOOP = "raw:lua"
"""The bare loop: one script call a batch, each job inline."""

THREADED = ("dramatiq:threads", "celery:threads", "huey")

NOTHING_BYTES = 2_048
"""What may be left of a drained stream: an empty key and its consumers, whatever went through it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row.

    Attributes:
        what: Is measured.
        target: In words.
        measured: The figure that is held against it.
        absolute: What it was made of.
        reached: None where it was not measured.
    """

    what: str
    target: str
    measured: str
    absolute: str
    reached: bool | None


def judge(ours: Runs, peers: Runs) -> list[Verdict]:
    """All rows, in order.

    Args:
        ours: Of duestream and of the bare loops, measured together.
        peers: Of the other systems and the bare loops, measured together; only their ratios are used.
    """
    return [*_drains(ours, peers), *_producers(ours), *_times(ours), *_costs(ours)]


def at_least(what: str, target: float, value: float | None, base: float | None, *, of: str, unit: str) -> Verdict:
    """A row for a value that is to be so many times another; below 1 the factor is told in percent."""
    words = f"at least {_factor(target)} of {of}" if target < 1 else f"at least {_factor(target)} {of}"
    if value is None or not base:
        return Verdict(what, words, "", "", None)
    ratio = value / base
    text = f"{100 * ratio:.1f} %" if target < 1 else f"{ratio:.2f} times"
    return Verdict(what, words, text, f"{value:,.0f} of {base:,.0f} {unit}", ratio >= target)


def at_most(what: str, target: float, value: float | None, *, unit: str, absolute: str = "") -> Verdict:
    """A row for a value that is to stay within a bound."""
    words = f"at most {target:,g} {unit}"
    if value is None:
        return Verdict(what, words, "", "", None)
    digits = 0 if abs(value) >= 100 else 2
    return Verdict(what, words, f"{value:,.{digits}f} {unit}", absolute, value <= target)


def _drains(ours: Runs, peers: Runs) -> Iterator[Verdict]:
    def rate(system: str, procs: int = 1) -> float | None:
        return ours.figure(system, "drain", "rate", procs)

    bare, default = rate(LOOP), rate("duestream")
    shares = (
        ("no-op mutations, all defaults", 0.5, default),
        ("no-op mutations, lean (no results)", 0.6, rate("duestream:lean")),
        ("no-op actions, all defaults", 0.4, rate("duestream:action")),
        ("mutations with one read and one write of ctx.db", 0.25, rate("duestream:document")),
    )
    for what, share, value in shares:
        yield at_least(what, share, value, bare, of=LOOP, unit="jobs/s")
    yield _against(peers, "no-op mutations, all defaults", 12, default, bare, _queues(peers), "the best peer")
    yield _against(peers, "plain def in threads", 6, rate("duestream:plain"), bare, THREADED, "the best threaded peer")
    yield at_least("two processes", 1.35, rate("duestream", 2), default, of="one", unit="jobs/s")
    cpu_us = ours.figure("duestream", "drain", "worker_cpu_us_per_job")
    yield at_most("worker CPU a job, all defaults", 26, cpu_us, unit="µs")


def _against(
    peers: Runs, what: str, factor: float, value: float | None, bare: float | None, among: tuple[str, ...], of: str
) -> Verdict:
    """Against a peer's share of the bare loop, which was measured with it: the machine may have been another."""
    found = best(peers, LOOP, among)
    if found is None or bare is None:
        return Verdict(what, f"at least {_factor(factor)} {of}", "", "", None)
    name, share = found
    of = f"{of} ({name}: {100 * share:.1f} % of {LOOP})"
    return at_least(what, factor, value, bare * share, of=of, unit="jobs/s")


def _producers(ours: Runs) -> Iterator[Verdict]:
    def rate(system: str, operation: str) -> float | None:
        return ours.figure(system, "enqueue", f"{operation}.rate")

    asked = (
        ("bulk scheduling", 0.6, "duestream", "raw:pipe", "bulk", "raw:pipe"),
        ("50 concurrent run_after", 10, "duestream", "redis_py:async", "burst", "50 concurrent XADD of redis-py"),
        ("one by one, async", 0.8, "duestream", "redis_py:async", "one", "one EVALSHA of redis-py"),
        ("one by one, blocking", 0.8, "duestream:blocking", "redis_py:blocking", "one", "one EVALSHA of redis-py"),
    )
    for what, factor, system, base, operation, of in asked:
        yield at_least(what, factor, rate(system, operation), rate(base, operation), of=of, unit="jobs/s")


def _times(ours: Runs) -> Iterator[Verdict]:
    for name, most in (("p50", 0.4), ("p99", 2.0)):
        value, bare = (ours.figure(one, "latency", f"latency_ms.{name}") for one in ("duestream", "raw:pipe"))
        more = None if value is None or bare is None else value - bare
        absolute = "" if more is None else f"{value:.2f} and {bare:.2f} ms"
        yield at_most(f"latency at 50 jobs/s, {name}, above raw:pipe", most, more, unit="ms", absolute=absolute)
    for name, most in (("p50", 2.0), ("p99", 10.0)):
        late = ours.figure("duestream", "delayed", f"lag_ms.{name}")
        yield at_most(f"lateness of 5,000 delayed jobs over 10 s, {name}", most, late, unit="ms")
    counts = [ours.figure("duestream", "delayed", name) for name in ("early", "missing", "duplicates")]
    wrong = [count for count in counts if count is not None]
    total = sum(wrong) if len(wrong) == len(counts) else None
    absolute = "" if total is None else "{:g} early, {:g} missing, {:g} double".format(*wrong)
    yield at_most("  early, missing or double", 0, total, unit="jobs", absolute=absolute)


def _costs(ours: Runs) -> Iterator[Verdict]:
    rows = (
        ("a pending job with 100 bytes of arguments", 400, ("duestream", "pending", "bytes_per_job"), "bytes"),
        ("a finished record, with such arguments", 800, ("duestream", "memory", "left_bytes_per_job"), "bytes"),
        ("a stream that was drained", NOTHING_BYTES, ("duestream", "memory", "stream_bytes"), "bytes"),
        ("one idle worker", 2, ("duestream", "idle", "sent_per_s"), "commands/s"),
        ("a hundred idle workers", 150, ("duestream", "idle-100", "sent_per_s"), "commands/s"),
        ("first import of scheduler", 150, ("duestream", "start", "import_ms"), "ms"),
        ("duestream --help", 250, ("duestream", "start", "help_ms"), "ms"),
    )
    for what, most, place, unit in rows:
        yield at_most(what, most, ours.figure(*place), unit=unit)


def _queues(peers: Runs) -> tuple[str, ...]:
    """Those that are queues, not bounds, and not ours."""
    bounds = ("raw", "redis_py", "sketch", "duestream")
    return tuple(name for name in peers.systems("drain") if name.partition(":")[0] not in bounds)


def _factor(target: float) -> str:
    return f"{100 * target:g} %" if target < 1 else f"{target:g} times"
