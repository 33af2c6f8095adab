"""join: state, call, reply and state."""

from __future__ import annotations

import json

import pytest
import redis

from scheduler import transitions
from scheduler.keys import GROUP
from scheduler.script_call import Transition
from tests.transitions.conftest import NAME, NOW, WORKER, World

DESCRIPTION = {"kind": "mutation", "internal": False, "queue": "q", "parameters": []}
FUNCTIONS = {NAME: json.dumps(DESCRIPTION)}


def join(*queues: str, at: int = NOW) -> Transition[int]:
    return transitions.join(WORKER, 5000, {"host": "h"}, {"keep_ms": 7}, FUNCTIONS, queues, at)


def test_empty(world: World) -> None:
    assert world.run(transitions.join(WORKER, 5000, {}, {}, {}, [], NOW)) == NOW
    assert len(world.all_keys()) == 2


def test_normal(world: World) -> None:
    assert world.run(join("q", "r")) == NOW
    assert world.command("HGETALL", world.keys.worker(WORKER)) == [b"seen", str(NOW).encode(), b"host", b"h"]
    assert set(world.command("SMEMBERS", world.keys.queues)) == {b"q", b"r"}
    assert world.run(transitions.describe([NAME])) == [DESCRIPTION]
    assert 0 < int(world.command("PTTL", world.keys.worker(WORKER))) <= 5000
    world.begin()


def test_twice(world: World) -> None:
    call = join("q")
    world.run(call)
    assert world.changes_nothing(call) == NOW


def test_what_was_ready_before_is_delivered(world: World) -> None:
    # C7.3
    job_id = world.schedule()
    world.run(join("q"))
    reply = world.command("XREADGROUP", "GROUP", GROUP, WORKER, "STREAMS", world.keys.ready("q"), ">")
    assert reply[0][1][0][1][:2] == [b"job", job_id.encode()]


def test_what_others_hold_stays_theirs(world: World) -> None:
    # C3.1
    world.deliver()
    before = world.command("XPENDING", world.keys.ready("q"), GROUP)
    world.run(join("q"))
    assert world.command("XPENDING", world.keys.ready("q"), GROUP) == before


def test_wrong_type(world: World) -> None:
    # An error that is not BUSYGROUP is not swallowed.
    world.break_key("ready:q")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        world.run(join("q"))
