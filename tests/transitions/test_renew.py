"""renew: state, call, reply and state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from scheduler import transitions
from scheduler.keys import GROUP
from scheduler.script_call import Transition
from scheduler.transitions import Delivery, Renewed
from tests.transitions.conftest import NOW, WORKER, World


def renew(
    actions: Mapping[str, str], entries: Mapping[str, Sequence[str]], at: int = NOW, worker: str = WORKER
) -> Transition[Renewed]:
    return transitions.renew(worker, 1000, 5000, 3, "17", actions, entries, at)


def test_empty(world: World) -> None:
    assert world.run(renew({}, {})) == Renewed(NOW, [], [], {})
    heartbeat = world.command("HGETALL", world.keys.worker(WORKER))
    assert heartbeat == [b"seen", str(NOW).encode(), b"running", b"3", b"reader", b"17"]
    assert 0 < int(world.command("PTTL", world.keys.worker(WORKER))) <= 5000
    assert int(world.command("ZSCORE", world.keys.workers, WORKER)) == NOW


def test_actions(world: World) -> None:
    # C3.5
    delivery = world.begin()
    assert world.run(renew({delivery.job_id: delivery.token}, {}, NOW + 500)) == Renewed(NOW + 500, [], [], {})
    assert int(world.command("ZSCORE", world.keys.running, delivery.job_id)) == NOW + 1500


def test_twice(world: World) -> None:
    delivery = world.begin()
    call = renew({delivery.job_id: delivery.token}, {})
    world.run(call)
    assert world.changes_nothing(call) == Renewed(NOW, [], [], {})


@pytest.mark.parametrize(
    ("state", "lost", "canceled"),
    [("success", 1, 0), ("failed", 1, 0), ("pending", 1, 0), ("canceled action", 0, 1), ("missing", 1, 0)],
)
def test_actions_that_ended(world: World, state: str, lost: int, canceled: int) -> None:
    # C4, C5.1: nothing comes back to life.
    delivery = world.deliver()._replace(job_id="missing") if state == "missing" else world.in_state(state)
    reply = world.run(renew({delivery.job_id: delivery.token}, {}))
    assert (reply.lost, reply.canceled) == ([delivery.job_id] * lost, [delivery.job_id] * canceled)
    assert world.exists("running") == 0


def test_another_token(world: World) -> None:
    # C3.5
    delivery = world.begin()
    assert world.run(renew({delivery.job_id: "x"}, {}, NOW + 500)).lost == [delivery.job_id]
    assert int(world.command("ZSCORE", world.keys.running, delivery.job_id)) == NOW + 1000


def test_entries(world: World) -> None:
    # C3.3: the idle time starts again, and no delivery is counted.
    delivery = world.deliver()
    stream = world.keys.ready("q")
    world.command("XCLAIM", stream, GROUP, WORKER, 0, delivery.entry, "IDLE", 60_000, "JUSTID")
    assert world.run(renew({}, {"q": [delivery.entry]})).held == {"q": {delivery.entry}}
    ((_, owner, idle, count),) = world.command("XPENDING", stream, GROUP, "-", "+", 10)
    assert (owner, idle < 30_000, count) == (WORKER.encode(), True, 1)


def test_entries_that_are_gone(world: World) -> None:
    # C3.1: a late worker cannot steal one back.
    first, second = world.deliver(), world.deliver()
    world.commit(first)
    reply = world.run(renew({}, {"q": [first.entry, second.entry]}))
    assert reply.held == {"q": {second.entry}}
    assert world.command("XPENDING", world.keys.ready("q"), GROUP)[0] == 1


@pytest.mark.parametrize("what", ["group", "stream"])
def test_a_destroyed_group_holds_nothing(world: World, what: str) -> None:
    delivery, other = world.deliver(), world.deliver(queue="r")
    stream = world.keys.ready("q")
    world.command(*(("XGROUP", "DESTROY", stream, GROUP) if what == "group" else ("DEL", stream)))
    reply = world.run(renew({}, {"q": [delivery.entry], "r": [other.entry]}))
    assert reply.held == {"q": set(), "r": {other.entry}}


def test_many_entries(world: World) -> None:
    # More than a hundred in one command, below unpack's bound.
    world.run(transitions.schedule([world.request(delay=1) for _ in range(500)], NOW))
    world.run(transitions.promote("p", 1000, 500, NOW + 1))
    held: list[Delivery] = world.claim()
    assert len(world.run(renew({}, {"q": [delivery.entry for delivery in held]})).held["q"]) == 500


def test_a_damaged_job_costs_no_other_its_lease(world: World) -> None:
    """C3.5: one status of the wrong type, and all that its worker held was taken away and run again elsewhere."""
    damaged, action, mutation = world.begin(), world.begin(), world.deliver()
    world.break_key(f"status:{damaged.job_id}")
    actions = {one.job_id: one.token for one in (damaged, action)}
    reply = world.run(renew(actions, {"q": [mutation.entry]}, NOW + 500))
    assert reply == Renewed(NOW + 500, [damaged.job_id], [], {"q": {mutation.entry}})
    assert int(world.command("ZSCORE", world.keys.running, action.job_id)) == NOW + 1500
