"""Executions, each one 24-byte record in one file, the same way for every system.

The file is opened O_APPEND and a record is one write(2): about a microsecond, atomic, no word to Redis, there after a
SIGKILL, and from threads, greenlets, coroutines and forked children alike.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

VARIABLE = "BENCH_RECORDS"
"""The environment's name for the file."""

START, END = 1, 2
WARM_UP = 0xF0000000
"""Jobs from this number on warm a worker up, and count nowhere."""

RECORD = struct.Struct("<IIdII")
_pack, _write, _now, _pid = RECORD.pack, os.write, time.time, os.getpid


class Record(NamedTuple):
    """One start or one end of an execution.

    Attributes:
        kind: START or END.
        number: The job's.
        at: Unix time in seconds.
        pid: The process that ran it.
    """

    kind: int
    number: int
    at: float
    pid: int


def start(number: int) -> None:
    """The job's first line runs."""
    _write(_file(), _pack(START, number, _now(), _pid(), 0))


def end(number: int) -> None:
    """The job's last line has run."""
    _write(_file(), _pack(END, number, _now(), _pid(), 0))


def read(path: Path) -> list[Record]:
    """All whole records, in the order of their writes; none where there is no file yet."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: len(data) // RECORD.size * RECORD.size]
    return [Record(*fields[:4]) for fields in RECORD.iter_unpack(whole)]


def count(path: Path) -> int:
    """How many records there are."""
    return path.stat().st_size // RECORD.size if path.exists() else 0


@dataclass(frozen=True, slots=True)
class Execution:
    """What the records say of jobs that were to run once.

    Attributes:
        executed: Starts.
        missing: Jobs that never started.
        double: Starts beyond the first.
        seconds: From the first start to the last.
        rate: Starts a second from the moment on at which all processes run.
        processes: How many processes started any.
        first_at: Unix time of the first start.
    """

    executed: int
    missing: int
    double: int
    seconds: float
    rate: float
    processes: int
    first_at: float


def execution(records: Iterable[Record], numbers: range) -> Execution | None:
    """What the starts of these jobs come to; None if there were none."""
    starts = [one for one in records if one.kind == START and one.number in numbers]
    if not starts:
        return None
    distinct = len({one.number for one in starts})
    first_at, last_at = min(one.at for one in starts), max(one.at for one in starts)
    from_at = _all_run_at(starts)
    after = sum(one.at > from_at for one in starts)
    if after < 0.4 * len(starts):  # a process came so late that what is left would say little
        from_at, after = first_at, len(starts)
    return Execution(
        executed=len(starts),
        missing=len(numbers) - distinct,
        double=len(starts) - distinct,
        seconds=last_at - first_at,
        rate=after / max(1e-9, last_at - from_at),
        processes=len({one.pid for one in starts}),
        first_at=first_at,
    )


def _all_run_at(starts: list[Record]) -> float:
    """When the last of the processes that do a real part of the work has started its first job."""
    first: dict[int, float] = {}
    share: dict[int, int] = {}
    for one in starts:
        first[one.pid] = min(first.get(one.pid, one.at), one.at)
        share[one.pid] = share.get(one.pid, 0) + 1
    main = [pid for pid, jobs in share.items() if jobs > 0.02 * len(starts)]
    # A process a job, or many of them: then there is no such moment.
    return max(first[pid] for pid in main) if 0 < len(main) <= 8 else min(first.values())


@cache
def _file() -> int:
    return os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
