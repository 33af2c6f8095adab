"""One case of one system: its server, its records, its clients and its workers, all of them gone at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine, records
from benchmarks.commands import Launch
from benchmarks.server import Server, serving
from benchmarks.systems import ROOT, System, find
from benchmarks.told import Told

ANSWER = "JSON:"
"""How the line of a client's output begins that has its figures."""


class ClientFailed(Exception):
    """A client's process ended without an answer; the message is the end of what it wrote."""


@dataclass
class Stage:
    """Made by `staged`."""

    system: System
    told: Told
    server: Server
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started_at: float = 0.0

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def roots(self) -> frozenset[int]:
        """The first processes of the workers."""
        return frozenset(process.pid for process in self.started)

    def jobs(self) -> int:
        """Of a drain."""
        return self.system.drain_jobs(self.told.variant)

    def count(self) -> int:
        return records.count(self.records)

    def forget(self) -> None:
        """Begin with no records; workers that run keep writing to the same file."""
        self.records.touch()
        os.truncate(self.records, 0)

    def client(self, operation: str, *, timeout_s: float = 300, **options: float | str) -> dict[str, Any]:
        """Run one operation of `benchmarks.client` in a process of its own; its figures.

        Raises:
            ClientFailed: There were none.
        """
        command = [str(self.system.python), "-m", "benchmarks.client", self.system.name, operation]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        command += ["--uvloop"] if self.system.uvloop else []
        done = subprocess.run(
            command, env=self.environment(), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        for line in done.stdout.splitlines():
            if line.startswith(ANSWER):
                answer: dict[str, Any] = json.loads(line.removeprefix(ANSWER))
                return answer
        raise ClientFailed(f"{done.stdout[-500:]} {done.stderr[-2000:]}")

    def start(self) -> None:
        """Start the workers."""
        if self.system.commands is not None:
            lines = self.system.commands(Launch(self.system.bin, self.told))
        else:
            lines = [[str(self.system.python), "-m", "benchmarks.work", self.system.name]] * self.told.processes
        self.run(lines)

    def run(self, lines: list[list[str]]) -> None:
        """Start command lines, each in a process group of its own."""
        self.started_at = time.time()
        with (self.folder / "log").open("ab") as log:
            for line in lines:
                self.started.append(
                    subprocess.Popen(
                        line, env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                        stderr=log, start_new_session=True,
                    )
                )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL to the workers and all that descend from them."""
        for pid in machine.family(self.roots):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait(10)
        self.started = []

    def said(self, characters: int = 800) -> str:
        """The end of what the workers have written."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""

    def others_cpu_s(self) -> float:
        """Seconds of CPU that the machine has spent on anything else than this case."""
        used = os.times()
        ours = used.user + used.system + used.children_user + used.children_system
        return machine.busy_s() - ours - machine.cpu_s(self.roots) - machine.own_cpu_s(self.server.pid)

    def environment(self) -> dict[str, str]:
        """Of its clients and workers."""
        ours = {records.VARIABLE: str(self.records), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **self.told.environment(), **ours, "PYTHONWARNINGS": "ignore"}


@contextlib.contextmanager
def staged(named: str, case: str, processes: int = 1, concurrency: int = 0, queues: int = 1) -> Iterator[Stage]:
    """A stage for one case of `system` or `system:variant`.

    Raises:
        KeyError: There is no such system or variant.
    """
    system, variant = find(named)
    shared = Path("/dev/shm")
    with (
        serving() as server,
        tempfile.TemporaryDirectory(prefix="bench-", dir=shared if shared.is_dir() else None) as folder,
    ):
        stage = Stage(system, Told(server.port, case, variant, processes, concurrency, queues), server, Path(folder))
        try:
            yield stage
        finally:
            stage.kill()
