"""A rich call of every script that writes: one job, so that its checks come before its first write (C6.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import transitions, versions
from scheduler.doctor import calls as doctor
from scheduler.keys import GROUP
from scheduler.script_call import Transition
from scheduler.transitions import Commit, Retry, Seal
from scheduler.versions import Scan
from tests.transitions.conftest import ERROR, NAME, NOW, WORKER, World

Sample = Callable[[World], Transition[Any]]

IDLE_MS = 60_000


def schedule(world: World) -> Transition[Any]:
    return transitions.schedule([world.request(key="k", parent="P")], NOW)


def schedule_canceled(world: World) -> Transition[Any]:
    parent = world.in_state("canceled action")
    return transitions.schedule([world.request(key="k", parent=parent.job_id)], NOW)


def promote(world: World) -> Transition[Any]:
    world.schedule(delay=5)
    return transitions.promote("p1", 1000, 10, NOW + 5)


def begin(world: World) -> Transition[Any]:
    return transitions.begin([world.deliver(kind="action")], WORKER, 1000, NOW)


def commit_of(world: World, table: str) -> Commit:
    """Reads, a scan, writes with their entries, children, a cancel, conflicts, a seal and a waiter."""
    world.write(("add", f"{table}:0", b"old"), entries=[("add", f"{table}:f", f"{table}:0", b"\x02")])
    delivery = world.deliver(key=f"key-{table}")
    world.run(transitions.watch(delivery.job_id, f"mail-{table}"))
    world.run(transitions.seal([Seal(delivery)], NOW))
    victim = world.schedule(delay=99, name="victim")
    every = Scan(f"table:{table}", "BYSCORE", "-inf", "+inf", "asc", 9)
    return world.commit_of(
        delivery,
        key=f"key-{table}",
        reads=[("doc", f"{table}:1", ""), ("key", f"new-{table}", ""), ("job", victim, "pending")],
        scans=[(every, f"{table}:0")],
        writes=[("add", f"{table}:1", b"x"), ("put", f"{table}:0", b"new")],
        entries=[
            ("del", f"{table}:f", f"{table}:0", b"\x02"),
            ("add", f"{table}:f", f"{table}:0", b"\x03"),
            ("add", f"{table}:f", f"{table}:1", b"\x03"),
        ],
        conflicts=1,
        children=[world.request(delay=5, queue="r", key=f"new-{table}"), world.request(name="born", born="canceled")],
        cancels=[victim],
    )


def commit(world: World) -> Transition[Any]:
    return transitions.commit([commit_of(world, "t")], WORKER, NOW)


def commit_with_a_tombstone(world: World) -> Transition[Any]:
    world.settings(keep_ms=0)
    return commit(world)


def commit_at_once(world: World) -> Transition[Any]:
    delivery = transitions.Delivery("", "", "", "token", 1)
    child = world.request(parent=world.begin().job_id)
    one = Commit(delivery, NAME, "", 7, "success", b"", writes=[("add", "t:1", b"x")], children=[child])
    return transitions.commit([one], WORKER, NOW)


def finish(world: World) -> Transition[Any]:
    delivery = world.begin(key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    return transitions.finish([world.end(delivery, key="k")], NOW)


def retry(world: World) -> Transition[Any]:
    return transitions.retry([Retry(world.deliver(), 1, 0)], NOW)


def revert(world: World) -> Transition[Any]:
    return transitions.revert([world.begin()], WORKER, 0, NOW)


def revert_later(world: World) -> Transition[Any]:
    return transitions.revert([world.begin(), world.deliver(kind="action")], WORKER, 500, NOW)


def retry_in_sql(world: World) -> Transition[Any]:
    delivery = world.deliver()
    world.run(transitions.seal([Seal(delivery)], NOW))
    return transitions.retry([Retry(delivery, 1, 0, NAME, conflicts=1, unseal=True)], NOW)


def seal(world: World) -> Transition[Any]:
    delivery = world.deliver()
    return transitions.seal([Seal(delivery, [("job", delivery.job_id, "pending")])], NOW)


def declare(world: World) -> Transition[Any]:
    world.write(("add", "t:1", b"x"))
    return versions.declare(["t:f", "u:f"])


def forget(world: World) -> Transition[Any]:
    world.run(declare(world))
    return versions.forget("t:f")


def reindex(world: World) -> Transition[Any]:
    world.run(declare(world))
    return versions.reindex("t:f", 0, None, [("t:1", world.read("doc", "t:1").version, b"\x02")], world.catalog())


def retry_later(world: World) -> Transition[Any]:
    return transitions.retry([Retry(world.deliver(), 1, 500)], NOW)


def retry_of_what_passes(world: World) -> Transition[Any]:
    return transitions.retry([Retry(world.deliver(), 1, 0, share=500_000)], NOW)


def retry_dead(world: World) -> Transition[Any]:
    delivery = world.deliver(key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    dead = [Retry(one, 1, 0, NAME, key=key, death=ERROR) for one, key in ((delivery, "k"), (world.deliver(), ""))]
    return transitions.retry(dead, NOW, max_deliveries=1)


def retry_after_a_death(world: World) -> Transition[Any]:
    return transitions.retry([Retry(world.deliver(), 1, 0, NAME, death=ERROR)], NOW)


def redeliver(world: World) -> Transition[Any]:
    delivery = world.deliver(key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    world.command("XCLAIM", world.keys.ready("q"), GROUP, WORKER, 0, delivery.entry, "IDLE", IDLE_MS, "JUSTID")
    return transitions.redeliver(IDLE_MS, 3, 10, ERROR, NOW)


def redeliver_poison(world: World) -> Transition[Any]:
    again = redeliver(world)
    return Transition(again.script, [*again.argv[:3], 1, *again.argv[4:]], again.read)


def expire(world: World) -> Transition[Any]:
    delivery = world.begin(lease_ms=1, key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    return transitions.expire(10, ERROR, NOW + 1)


def cancel(world: World) -> Transition[Any]:
    delivery = world.deliver(key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    return transitions.cancel([delivery.job_id], NOW)


def cancel_running(world: World) -> Transition[Any]:
    return transitions.cancel([world.begin().job_id], NOW)


def prune(world: World) -> Transition[Any]:
    world.settings(keep_ms=1)
    world.in_state("success", key="k")
    return transitions.prune(10, NOW + 1)


def leave(world: World) -> Transition[Any]:
    world.deliver()
    world.run(transitions.promote("p1", 60_000, 10, NOW))
    return transitions.leave(WORKER, "p1", ["q"], NOW)


def renew(world: World) -> Transition[Any]:
    action, held = world.begin(), world.deliver()
    return transitions.renew(WORKER, 9, 60_000, 1, "", {action.job_id: action.token}, {"q": [held.entry]}, NOW + 1)


def sustain(world: World) -> Transition[Any]:
    world.run(join(world))
    world.begin(lease_ms=9)
    held = world.deliver()
    world.command("XCLAIM", world.keys.ready("q"), GROUP, WORKER, 0, held.entry, "IDLE", IDLE_MS, "JUSTID")
    return transitions.sustain(WORKER, 9, 60_000, 5, 10, {"q": held.entry}, NOW + 1)


def join(world: World) -> Transition[Any]:
    return transitions.join(WORKER, 60_000, {"pid": 7}, {"keep_ms": 5}, {NAME: "{}"}, ["q"], NOW)


def sweep(world: World) -> Transition[Any]:
    world.run(join(world))
    return transitions.sweep(10, 10, NOW + 10)


def mend(world: World) -> Transition[Any]:
    job_id = world.schedule(delay=9)
    world.command("ZREM", world.keys.due("q"), job_id)
    return doctor.mend([doctor.Row("job", job_id)], 1000, NOW)


def watch(world: World) -> Transition[Any]:
    return transitions.watch(world.schedule(delay=9), "m")


def unwatch(world: World) -> Transition[Any]:
    job_id = world.schedule(delay=9)
    world.run(transitions.watch(job_id, "m"))
    return transitions.unwatch(job_id, "m")


SAMPLES: list[Sample] = [
    schedule, schedule_canceled, promote, begin, commit, commit_with_a_tombstone, commit_at_once, finish, retry,
    retry_later, retry_of_what_passes, revert, revert_later, redeliver, redeliver_poison, expire, cancel,
    cancel_running, prune, leave, renew, sustain, join, sweep, watch, unwatch, retry_in_sql, retry_dead,
    retry_after_a_death, seal, declare, forget, reindex, mend,
]  # fmt: skip
