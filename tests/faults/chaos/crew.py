"""The worker processes: slots that are filled again whenever somebody dies, by whose hand ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.chaos.workload import POISONED, REFUSED
from tests.worker.processes import ROOT, wait_until

END_S = 20.0


@dataclass(slots=True)
class Member:
    """One worker process.

    Attributes:
        pid: Its process.
        log: What it says.
        slot: The place it fills, None once it has been told to leave.
        stopped: Whether SIGSTOP holds it.
        doomed: Whether we have killed it.
        code: Its exit code, None while it lives.
    """

    pid: int
    log: Path
    slot: int | None
    stopped: bool = False
    doomed: bool = False
    code: int | None = None


class Crew:
    """Workers of the chaos app, forked by one nursery.

    Args:
        url: Where they find the server.
        folder: For their logs.
        environment: What the app needs to know.
        settings: Of each worker.
        slots: How many there are.
    """

    def __init__(
        self, url: str, folder: Path, environment: Mapping[str, str], settings: Mapping[str, Any], slots: int
    ) -> None:
        self._url = url
        self._folder = folder
        self._settings = dict(settings)
        self._slots = slots
        self._born: list[Member] = []
        self._unborn: list[tuple[int, Path]] = []
        self._lock = threading.RLock()
        self._filling = True
        with (folder / "nursery.log").open("ab") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.chaos.nursery"],
                cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, name="chaos-crew", daemon=True)
        self._listener.start()
        for slot in range(slots):
            self._fill(slot)
        wait_until(lambda: len(self.alive()) == slots, END_S, "the birth of the workers")

    def alive(self) -> list[Member]:
        """Those that fill a slot and live."""
        with self._lock:
            return [one for one in self._born if one.code is None and not one.doomed and one.slot is not None]

    def all_alive(self) -> list[Member]:
        """Those that live, told to leave or not."""
        with self._lock:
            return [one for one in self._born if one.code is None]

    def kill(self, member: Member) -> None:
        """SIGKILL; another takes the place."""
        with self._lock:
            member.doomed = True
            self._send(member, signal.SIGKILL)

    def stop(self, member: Member) -> None:
        """SIGSTOP."""
        member.stopped = True
        self._send(member, signal.SIGSTOP)

    def go_on(self, member: Member) -> None:
        """SIGCONT, if it still lives."""
        member.stopped = False
        self._send(member, signal.SIGCONT)

    def tasks(self, member: Member) -> list[str]:
        """What the tasks of one that is going run, at this moment."""
        path = _tasks_of(member.log)
        path.unlink(missing_ok=True)
        self._send(member, signal.SIGUSR1)
        wait_until(path.exists, END_S, f"the tasks of worker {member.pid}")
        return path.read_text().splitlines()

    def dismiss(self, member: Member, *, replace: bool = True) -> None:
        """TERM; with `replace` another starts at once, as in a rolling update."""
        with self._lock:
            slot, member.slot = member.slot, None
            self._send(member, signal.SIGTERM)
            if replace and slot is not None:
                self._fill(slot)

    def dismiss_all(self) -> None:
        """TERM to all, and wait for their end."""
        self._filling = False
        for member in self.all_alive():
            self.go_on(member)
            self.dismiss(member, replace=False)
        wait_until(lambda: not self.all_alive(), END_S, "the end of the workers")

    def misbehaved(self) -> list[str]:
        """Exits that nobody asked for: neither killed by us, nor poisoned, nor told to leave and gone with 0."""
        with self._lock:
            ended = [one for one in self._born if one.code is not None and not one.doomed]
        right = [one for one in ended if one.code == POISONED or _has_no_replica(one)]
        wrong = [one for one in ended if one not in right and not (one.slot is None and self._left(one))]
        return [f"worker {one.pid} ended with {one.code}" for one in wrong]

    def _left(self, member: Member) -> bool:
        """Whether one that was told to leave did: TERM ends a process that has not come to its signals yet."""
        started = member.log.exists() and "started worker=" in member.log.read_text(errors="replace")
        return member.code == 0 or (member.code == -signal.SIGTERM and not started)

    @property
    def born(self) -> int:
        """How many have lived."""
        return len(self._born)

    @property
    def poisoned(self) -> int:
        """How many died of poison."""
        return sum(one.code == POISONED for one in self._born)

    def close(self) -> None:
        """End all that is left."""
        self._filling = False
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(END_S)
        self._listener.join()
        assert self._nursery.stdout is not None
        self._nursery.stdout.close()

    def _fill(self, slot: int) -> None:
        with self._lock:
            log = self._folder / f"worker-{len(self._born) + len(self._unborn) + 1:04}.log"
            self._unborn.append((slot, log))
            wanted = {"url": self._url, "log": str(log), "tasks": str(_tasks_of(log)), "settings": self._settings}
            assert self._nursery.stdin is not None
            self._nursery.stdin.write(json.dumps(wanted).encode() + b"\n")
            self._nursery.stdin.flush()

    def _listen(self) -> None:
        assert self._nursery.stdout is not None
        for line in self._nursery.stdout:
            word, *numbers = line.decode().split()
            with self._lock:
                if word == "born":
                    slot, log = self._unborn.pop(0)
                    self._born.append(Member(int(numbers[0]), log, slot))
                else:
                    self._bury(int(numbers[0]), int(numbers[1]))

    def _bury(self, pid: int, code: int) -> None:
        member = next(one for one in reversed(self._born) if one.pid == pid and one.code is None)
        member.code = code
        if member.slot is not None and self._filling:
            self._fill(member.slot)

    def _send(self, member: Member, number: signal.Signals) -> None:
        with self._lock:
            if member.code is None:
                try:
                    os.kill(member.pid, number)
                except ProcessLookupError:  # it has ended this moment: the nursery will say so
                    return


def _tasks_of(log: Path) -> Path:
    return log.with_suffix(".tasks")


def _has_no_replica(member: Member) -> bool:
    """Whether it came to a primary that a failover had left without a replica, and did not start (C7.2)."""
    return member.code == REFUSED and "too few replicas" in member.log.read_text(errors="replace")
