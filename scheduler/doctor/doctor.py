"""The doctor: asks every subject, one after the other, and mends what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from scheduler import versions
from scheduler.doctor.access import check_user
from scheduler.doctor.calls import Row, Verdict, mend, survey
from scheduler.doctor.clocks import Look, check_clocks
from scheduler.doctor.data import check_documents, check_indexes
from scheduler.doctor.findings import Finding, Severity
from scheduler.doctor.fleet import (
    check_app,
    check_functions,
    check_leases,
    check_promoter,
    check_queues,
    check_workers,
)
from scheduler.doctor.places import PAGE, Places
from scheduler.doctor.server import SECTIONS, check_server
from scheduler.errors import ConfigurationError
from scheduler.inspector import WorkerView, read_info, read_workers
from scheduler.refusals import ServerError
from scheduler.role import Role
from scheduler.store import BlockingStore

APART_S: Final = 1.0
"""Between two looks at what should move."""

ROUNDS: Final = 3

LEASE_MS: Final = 60_000
"""What an action gets whose lease nobody watched: whoever runs it renews it long before."""


class Mended(NamedTuple):
    """What `--fix` did about one finding: the things it mended."""

    code: str
    names: tuple[str, ...]


class Doctor:
    """Examines one app.

    Args:
        store: Of the app.
        deep: Look at all keys, and at every document.
        user: Whose rights are tried; None is the one that asks.
        role: What that user is to do.
        advance: Told how many more things were looked at.
    """

    def __init__(
        self,
        store: BlockingStore,
        *,
        deep: bool = False,
        user: str | None = None,
        role: Role = Role.OPERATOR,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._deep = deep
        self._user = user
        self._role = role
        self._advance = advance
        self._findings: list[Finding] = []

    def examine(self) -> list[Finding]:
        """All that is wrong, the worst first. What the server does not tell is a finding too.

        Raises:
            Unavailable: It does not answer.
        """
        self._findings = []
        began, first = time.monotonic(), self._look()
        self._ask("server", lambda: check_server(self._store.drive(read_info(*SECTIONS)), snapshots=self._snapshots()))
        if any(finding.code == "server-replica" for finding in self._findings):
            return self._findings  # it runs no script
        self._ask("rights", lambda: check_user(self._store, self._user, self._role))
        self._ask("workers", self._check_work)
        self._ask("indexes", lambda: self._check_indexes(began))
        self._ask("clock", lambda: check_clocks(first, self._look(), [one.seen_ms for one in self._workers()]))
        order = list(Severity)
        return sorted(self._findings, key=lambda finding: order.index(finding.rule.severity))

    def mend(self, findings: Sequence[Finding]) -> list[Mended]:
        """Mend what was found, where it is still so; each thing in one step."""
        done = []
        for finding in findings:
            verdicts: list[tuple[Row, Verdict]] = []
            for start in range(0, len(finding.rows), PAGE):
                rows = finding.rows[start : start + PAGE]
                words = self._store.run(mend(rows, LEASE_MS))
                verdicts += zip(rows, words, strict=True)
            mended = tuple(row.shown for row, verdict in verdicts if verdict is not Verdict.OK)
            if mended:
                done.append(Mended(finding.code, mended))
        return done

    def treat(self, findings: Sequence[Finding]) -> tuple[list[Mended], list[Finding]]:
        """Mend and examine until nothing that can be mended is left: one thing mended may uncover another.

        Returns:
            What was mended, and what is left.
        """
        done: list[Mended] = []
        left = list(findings)
        for _ in range(ROUNDS):
            mended = self.mend(left)
            if not mended:
                break
            done += mended
            left = self.examine()
        return done, left

    def _ask(self, subject: str, check: Callable[[], Any]) -> None:
        """One subject that cannot be asked keeps no other from being asked."""
        try:
            self._findings += check()
        except (ServerError, ConfigurationError) as error:
            self._findings.append(Finding("not-asked", f"{error}", (subject,)))

    def _check_work(self) -> Iterator[Finding]:
        keys, now_ms, workers = self._store.keys, self._look().server_ms, self._workers()
        queues, damaged = self._sort_queues()
        told = frozenset(f"{head}:{queue}" for queue in damaged for head in ("due", "ready"))
        places = Places(keys, self._deep, self._advance, told=told)
        if damaged:
            yield Finding("queue-damaged", "a key of another type", tuple(damaged))
        yield from self._store.drive(check_app(keys))
        yield from check_workers(workers, int(now_ms))
        yield from check_queues({queue: self._waiting(queue) for queue in queues}, workers, int(now_ms))
        yield from self._store.drive(check_promoter(keys, queues, int(now_ms)))
        served = [queue for queue in queues if any(queue in one.queues for one in workers)]
        self._store.drive(places.examine([Row("queue", queue) for queue in served]))
        missing = {row.name for row in places.found.get("group-missing", {})}
        grouped = [
            queue for queue in served if queue not in missing and self._store.command("EXISTS", keys.ready(queue))
        ]
        yield from self._store.drive(check_leases(keys, grouped, workers, int(now_ms)))
        self._store.drive(places.walk(queues))
        yield from places.findings()
        yield from self._store.drive(check_functions(places.waiting))
        if self._deep:
            yield from self._store.drive(check_documents(places.documents))

    def _sort_queues(self) -> tuple[list[str], list[str]]:
        """Queues whose two keys have their types, and the others."""
        sound: list[str] = []
        damaged: list[str] = []
        listed = self._store.command("SMEMBERS", self._store.keys.queues)
        for name in sorted(one.decode(errors="replace") for one in listed):
            due, ready = self._store.run(survey([f"due:{name}", f"ready:{name}"]))
            is_sound = due.type in ("zset", "none") and ready.type in ("stream", "none")
            (sound if is_sound else damaged).append(name)
        return sound, damaged

    def _waiting(self, queue: str) -> int:
        keys = self._store.keys
        return int(self._store.command("ZCARD", keys.due(queue))) + int(self._store.command("XLEN", keys.ready(queue)))

    def _check_indexes(self, began: float) -> list[Finding]:
        before = self._store.run(versions.declare())
        if all(built is None for built in before.indexes.values()):
            return []
        time.sleep(max(0.0, began + APART_S - time.monotonic(), APART_S))
        return check_indexes(before, self._store.run(versions.declare()))

    def _workers(self) -> list[WorkerView]:
        return self._store.drive(read_workers(self._store.keys))

    def _snapshots(self) -> bool:
        """Whether the server saves snapshots by itself; a server that does not say so is taken at its best."""
        try:
            found = self._store.execute("CONFIG", "GET", "save")
        except ServerError:
            return True
        return bool(found and found[1])

    def _look(self) -> Look:
        sent, wall = time.monotonic(), time.time()
        seconds, micros = self._store.command("TIME")
        took_s = time.monotonic() - sent
        return Look(
            int(seconds) * 1000 + int(micros) / 1000,
            (wall + took_s / 2) * 1000,
            (sent + took_s / 2) * 1000,
            took_s * 1000,
        )
