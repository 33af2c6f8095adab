"""How a worker runs."""

from __future__ import annotations

import os
import re
import secrets
import socket
from dataclasses import dataclass, field

from scheduler.app import App
from scheduler.durability import DurabilityName, Safety, check_app_replicas, check_durability, check_replicas
from scheduler.errors import InvalidOption
from scheduler.leases import DEFAULT_LEASE_MS, DEFAULT_MAX_DELIVERIES
from scheduler.settings import DEFAULT_QUEUE, check_flag, check_queue

_NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,200}")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker process.

    Attributes:
        queues: The queues it takes jobs from, equally.
        concurrency: Handlers it runs at once.
        lease_ms: Within this time the work of a dead worker is taken up by another, 1,000 or more.
        max_deliveries: After so many deaths of workers a job fails.
        grace_s: How long actions may go on after a stop was asked for.
        burst: Stop when nothing is due.
        promote: Promote and clean beside the work.
        durability: What an action's ack must outlive (C7.2); None: what the app says.
        replicas: With 'replica', how many must have the ack; None: what the app says.
        vouch_fsync: With 'fsync', somebody vouches for a server that does not show its settings.
        keeper: Have a process that renews the leases while a handler blocks all threads of this one.
        name: Unlike any other's.
    """

    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    concurrency: int = 100
    lease_ms: int = DEFAULT_LEASE_MS
    max_deliveries: int = DEFAULT_MAX_DELIVERIES
    grace_s: float = 25.0
    burst: bool = False
    promote: bool = True
    durability: DurabilityName | None = None
    replicas: int | None = None
    vouch_fsync: bool = False
    keeper: bool = True
    name: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        if not isinstance(self.queues, tuple | list):
            raise InvalidOption(f"queues: expected a tuple of names, got {self.queues!r:.60}")
        object.__setattr__(self, "queues", tuple(check_queue(queue) for queue in self.queues))
        if not self.queues or len(set(self.queues)) != len(self.queues):
            raise InvalidOption(
                f"queues: expected different names, at least one, got {', '.join(self.queues) or 'none'}"
            )
        for name in ("concurrency", "lease_ms", "max_deliveries"):
            if not isinstance(getattr(self, name), int):
                raise InvalidOption(f"{name}: expected an int, got {getattr(self, name)!r:.60}")
        _at_least("concurrency", self.concurrency, 1, 10_000)
        _at_least("lease_ms", self.lease_ms, 1_000, 3_600_000, " milliseconds")
        _at_least("max_deliveries", self.max_deliveries, 1, 1_000)
        for name in ("burst", "promote", "keeper", "vouch_fsync"):
            check_flag(name, getattr(self, name))
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidOption(
                f"name: expected 1 to 200 letters, digits, '_', '.', ':', '@' or '-', got {self.name!r:.60}"
            )
        _at_least("grace_s", self.grace_s, 0, 86_400, " seconds")
        if self.durability is not None:
            check_durability(self.durability)
        if self.replicas is not None:
            check_replicas(self.replicas)

    def safety(self, app: App) -> Safety:
        """How safe the acks of an app's actions must be: as said here, else as the app says.

        Raises:
            InvalidOption: Replicas are asked for that nobody would wait for.
        """
        durability = app.durability if self.durability is None else check_durability(self.durability)
        replicas = app.replicas if self.replicas is None else check_app_replicas(self.replicas, durability)
        return Safety(durability, replicas, self.vouch_fsync)

    @property
    def replica_wait_ms(self) -> int:
        """How long replicas may take to have an ack: well within the lease, which nobody renews meanwhile."""
        return min(self.lease_ms // 10, 1_000)


def _at_least(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidOption(f"{name}: expected {low:,} to {high:,}{unit}, got {value!r:.60}")
