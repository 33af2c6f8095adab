"""unwatch: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from tests.transitions.conftest import World


def test_missing(world: World) -> None:
    assert world.changes_nothing(transitions.unwatch("missing", "m")) is False
    assert world.changes_nothing(transitions.unwatch(world.schedule(), "m")) is False


@pytest.mark.parametrize(("others", "left"), [([], None), (["b"], b"b"), (["b", "ma"], b"b ma")])
def test_normal(world: World, others: list[str], left: bytes | None) -> None:
    # C5.4
    delivery = world.deliver()
    for mailbox in ("m", *others):
        world.run(transitions.watch(delivery.job_id, mailbox))
    assert world.run(transitions.unwatch(delivery.job_id, "m")) is True
    assert world.status(delivery.job_id).get("waiters") == left
    assert world.changes_nothing(transitions.unwatch(delivery.job_id, "m")) is False
    world.commit(delivery)
    assert world.mail("m") == []
    assert [world.mail(mailbox) for mailbox in others] == [[delivery.job_id]] * len(others)


def test_mail_that_came_already_goes(world: World) -> None:
    delivery = world.deliver()
    world.run(transitions.watch(delivery.job_id, "m"))
    world.commit(delivery)
    assert world.run(transitions.unwatch(delivery.job_id, "m")) is False
    assert world.exists("mail:m") == 0
