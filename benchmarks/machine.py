"""What processes and the machine have used, by /proc."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """One process: its parent, its group, and seconds of CPU with those of children that ended."""

    parent: int
    group: int
    cpu_s: float


def processes() -> dict[int, Process]:
    """All processes there are now."""
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (process := _process(int(path.name))) is not None:
            found[int(path.name)] = process
    return found


def family(roots: Collection[int]) -> dict[int, Process]:
    """These processes, the members of their groups, and all that descend from them."""
    everyone = processes()
    children: dict[int, list[int]] = {}
    for pid, process in everyone.items():
        children.setdefault(process.parent, []).append(pid)
    found: dict[int, Process] = {}
    todo = [pid for pid, process in everyone.items() if pid in roots or process.group in roots]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found[pid] = everyone[pid]
            todo += children.get(pid, [])
    return found


def cpu_s(roots: Collection[int]) -> float:
    """Seconds of CPU of these processes and their families."""
    return sum(process.cpu_s for process in family(roots).values())


def own_cpu_s(pid: int) -> float:
    """Seconds of CPU of one process, 0 where it is gone."""
    process = _process(pid)
    return 0.0 if process is None else process.cpu_s


def resident_bytes(roots: Collection[int]) -> int:
    """Memory of these processes and their families."""
    total = 0
    for pid in family(roots):
        text = _text(Path(f"/proc/{pid}/statm"))
        total += int(text.split()[1]) * _PAGE if text else 0
    return total


def busy_s() -> float:
    """Seconds of CPU that the whole machine has been busy, all cores together."""
    user, nice, system, _idle, _waits, irq, softirq, stolen = (int(word) for word in _cpu_line().split()[1:9])
    return (user + nice + system + irq + softirq + stolen) / _TICK


def wait_for_quiet(limit_cores: float = 0.25, tries: int = 6) -> float:
    """Wait for a while until others take less than `limit_cores`; returns what they take."""
    used = 0.0
    for _ in range(tries):
        before, at = busy_s(), time.monotonic()
        time.sleep(0.5)
        used = (busy_s() - before) / (time.monotonic() - at)
        if used < limit_cores:
            break
    return round(used, 2)


def describe() -> dict[str, str | int]:
    """The machine, for a table's caption."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": model.partition(":")[2].strip(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
    }


def _process(pid: int) -> Process | None:
    text = _text(Path(f"/proc/{pid}/stat"))
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    return Process(int(fields[1]), int(fields[2]), sum(int(ticks) for ticks in fields[11:15]) / _TICK)


def _cpu_line() -> str:
    return Path("/proc/stat").read_text().partition("\n")[0]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended meanwhile
        return ""
