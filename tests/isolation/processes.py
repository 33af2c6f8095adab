"""The processes of cells, looked up by what the system says of them."""

from __future__ import annotations

import subprocess


def cells_of(worker: int) -> list[int]:
    """The cells of a worker's process that are alive."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(worker)], capture_output=True, text=True, check=False
    ).stdout
    rows = [line.split(maxsplit=2) for line in found.splitlines()]
    return sorted(int(pid) for pid, state, command in rows if "worker.cell" in command and not state.startswith("Z"))


def is_alive(pid: int) -> bool:
    """Whether a process is there, and not merely waited for."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.startswith("Z")


def group_of(leader: int) -> list[int]:
    """The processes of a group that are alive."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(pid) for pid, group, state in rows if int(group) == leader and not state.startswith("Z")]
