"""watch: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.script_call import Word
from tests.transitions.conftest import World


@pytest.mark.parametrize("state", ["pending", "inProgress"])
def test_normal(world: World, state: str) -> None:
    # C5.4
    delivery = world.in_state(state)
    assert world.run(transitions.watch(delivery.job_id, "m")) is Word.WATCHING
    assert world.status(delivery.job_id)["waiters"] == b"m"


@pytest.mark.parametrize("keep", [0, 1000])
@pytest.mark.parametrize("state", ["success", "failed", "canceled", "canceled action"])
def test_final_states(world: World, state: str, keep: int) -> None:
    # C5.4
    world.settings(keep_ms=keep)
    delivery = world.in_state(state)
    assert world.changes_nothing(transitions.watch(delivery.job_id, "m")) is Word.FINISHED


def test_missing(world: World) -> None:
    assert world.changes_nothing(transitions.watch("missing", "m")) is Word.UNKNOWN


def test_twice(world: World) -> None:
    job_id = world.schedule()
    world.run(transitions.watch(job_id, "m"))
    assert world.changes_nothing(transitions.watch(job_id, "m")) is Word.WATCHING


@pytest.mark.parametrize("mailbox", ["mail", "ail", "ma"])
def test_a_name_within_another(world: World, mailbox: str) -> None:
    # C5.4: each waiter gets its mail, whatever the names.
    delivery = world.deliver()
    for name in ("mail", mailbox):
        world.run(transitions.watch(delivery.job_id, name))
    world.commit(delivery)
    assert world.mail("mail") == world.mail(mailbox) == [delivery.job_id]


def test_a_damaged_job(world: World) -> None:
    # C5.4: nobody waits for what cannot tell its end.
    job_id = world.schedule(delay=9)
    world.break_key(f"status:{job_id}")
    assert world.changes_nothing(transitions.watch(job_id, "m")) is Word.UNKNOWN
    assert world.changes_nothing(transitions.unwatch(job_id, "m")) is False
