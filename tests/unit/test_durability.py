"""How safe an ack is to be: what is asked for, and what a reply proves (C7.2)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import App, InvalidOption
from scheduler.durability import Durability, DurabilityName, Safety
from worker.settings import WorkerSettings

FSYNC, REPLICA = Safety(Durability.FSYNC), Safety(Durability.REPLICA, 2)
GOOD = [b"appendonly", b"yes", b"appendfsync", b"always", b"no-appendfsync-on-rewrite", b"no"]


def test_memory_asks_for_nothing() -> None:
    assert Safety().proof(100) is None


def test_what_is_sent_behind_an_ack() -> None:
    assert FSYNC.proof(100) == ("CONFIG", "GET", "appendonly", "appendfsync", "no-appendfsync-on-rewrite")
    assert REPLICA.proof(100) == ("WAIT", 2, 100)


@pytest.mark.parametrize(
    ("safety", "reply", "doubt"),
    [
        (FSYNC, GOOD, ""),
        (FSYNC, [*GOOD[2:], *GOOD[:2]], ""),
        (FSYNC, [*GOOD[:3], b"everysec", *GOOD[4:]], "it has appendfsync everysec"),
        (FSYNC, [b"appendonly", b"no", *GOOD[2:5], b"yes"], "it has appendonly no, no-appendfsync-on-rewrite yes"),
        (FSYNC, GOOD[:4], "it does not tell no-appendfsync-on-rewrite"),
        (FSYNC, [], "it does not tell appendonly, appendfsync, no-appendfsync-on-rewrite"),
        (FSYNC, ValueError("NOPERM"), "it does not tell: NOPERM"),
        (REPLICA, 2, ""),
        (REPLICA, 3, ""),
        (REPLICA, 1, "1 of 2 replicas have answered"),
        (REPLICA, 0, "0 of 2 replicas have answered"),
        (REPLICA, ValueError("NOPERM"), "it does not tell: NOPERM"),
    ],
)
def test_what_a_reply_proves(safety: Safety, reply: Any, doubt: str) -> None:
    assert safety.doubt(reply) == doubt


@pytest.mark.parametrize("wrong", ["disk", "", "FSYNC", None, 1])
def test_another_durability_is_an_error(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="durability: expected memory, fsync or replica, got "):
        App("shop", durability=wrong)
    if wrong is not None:
        with pytest.raises(InvalidOption, match="durability: "):
            WorkerSettings(durability=wrong)


@pytest.mark.parametrize("wrong", [0, -1, 101, 1.0, True, "1"])
def test_another_number_of_replicas_is_an_error(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="replicas: expected 1 to 100, got "):
        App("shop", durability="replica", replicas=wrong)
    with pytest.raises(InvalidOption, match="replicas: "):
        WorkerSettings(replicas=wrong)


@pytest.mark.parametrize("durability", ["memory", "fsync"])
def test_replicas_that_nobody_would_wait_for_are_an_error(durability: DurabilityName) -> None:
    # C7.2
    for replicas in (1, 2):
        with pytest.raises(InvalidOption, match=rf"^replicas: .* got {replicas} with '{durability}'$"):
            App("shop", durability=durability, replicas=replicas)
    assert App("shop", durability="replica").replicas == 1


def test_what_a_worker_says_goes_before_what_the_app_says() -> None:
    app = App("shop", durability="replica", replicas=3)
    assert WorkerSettings().safety(app) == Safety(Durability.REPLICA, 3)
    assert WorkerSettings(replicas=2).safety(app) == Safety(Durability.REPLICA, 2)
    assert WorkerSettings(durability="memory").safety(app) == Safety(Durability.MEMORY, 3)
    assert WorkerSettings(durability="fsync", vouch_fsync=True).safety(app) == Safety(Durability.FSYNC, 3, vouched=True)
    assert WorkerSettings().safety(App("shop")) == Safety(Durability.MEMORY, 1)


@pytest.mark.parametrize(("lease_ms", "wait_ms"), [(1_000, 100), (10_000, 1_000), (3_600_000, 1_000)])
def test_replicas_have_a_tenth_of_a_lease_and_a_second_at_most(lease_ms: int, wait_ms: int) -> None:
    assert WorkerSettings(lease_ms=lease_ms).replica_wait_ms == wait_ms


def test_a_worker_too_waits_for_replicas_with_replica_alone() -> None:
    # C7.2
    with pytest.raises(InvalidOption, match=r"^replicas: goes with durability='replica' alone, got 2 with 'memory'$"):
        WorkerSettings(replicas=2).safety(App("shop"))
    assert WorkerSettings(replicas=2, durability="replica").safety(App("shop")).replicas == 2
    assert (
        WorkerSettings(durability="memory").safety(App("shop", durability="replica", replicas=2)).durability == "memory"
    )
