"""check: state, call and reply."""

from __future__ import annotations

import pytest

from scheduler import versions
from scheduler.script_call import Transition
from scheduler.versions import Checked, Scan
from tests.transitions.conftest import World

TABLE = Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 9)
INDEX = Scan("index:t:f", "BYLEX", "-", "+", "desc", 9)


def alone(kind: str, key: str, *seen: str) -> Transition[list[Checked]]:
    """One thing, in a set of its own for each version."""
    return versions.check([([(kind, key, version)], []) for version in seen])


def test_empty(world: World) -> None:
    assert world.changes_nothing(versions.check([])) == []


def test_nothing_read(world: World) -> None:
    assert world.changes_nothing(versions.check([([], [])])) == [Checked(0, holds=True)]


@pytest.mark.parametrize("kind", ["doc", "job", "key"])
@pytest.mark.parametrize(("seen", "holds"), [("", True), ("other", False)])
def test_absent(world: World, kind: str, seen: str, holds: bool) -> None:
    # C6.2
    assert world.changes_nothing(versions.check([([(kind, "t:1", seen)], [])])) == [Checked(0, holds)]


@pytest.mark.parametrize(("scan", "found", "holds"), [(TABLE, "", True), (INDEX, "", True), (TABLE, "t:1", False)])
def test_scans_of_what_is_absent(world: World, scan: Scan, found: str, holds: bool) -> None:
    # C6.2
    world.make_ready("t:f")
    assert world.changes_nothing(versions.check([([], [(scan, found)])])) == [Checked(0, holds)]


@pytest.mark.parametrize("state", ["pending", "inProgress", "success", "failed", "canceled"])
def test_jobs(world: World, state: str) -> None:
    # C6.2: the version of a job is its state.
    job_id = world.in_state(state).job_id
    checked = world.changes_nothing(alone("job", job_id, state, "", "other"))
    assert [one.holds for one in checked] == [True, False, False]


def test_a_key(world: World) -> None:
    # C2.10
    job_id = world.schedule(delay=9, key="k")
    checked = world.changes_nothing(alone("key", "k", job_id, "", "other"))
    assert [one.holds for one in checked] == [True, False, False]


def test_each_set_has_its_own_answer(world: World) -> None:
    # C6.2: one that fails by its first, its last or its scan says nothing of the others.
    world.make_ready("t:f")
    world.write(("add", "t:1", b"1"), ("add", "t:2", b"2"), entries=[("add", "t:f", f"t:{i}", b"\x02") for i in (1, 2)])
    seen = [("doc", f"t:{i}", world.read("doc", f"t:{i}").version) for i in (1, 2)]
    good, bad = seen, [(kind, key, "other") for kind, key, _ in seen]
    scans, cut = [(TABLE, "t:1 t:2"), (INDEX, "t:2 t:1")], [(TABLE._replace(most=1), "t:1")]
    sets = [
        (good, scans),
        ([good[0], bad[1]], scans),
        ([bad[0], good[1]], []),
        ([], cut),
        (good, [(TABLE, "t:2 t:1"), scans[1]]),
        (good, [scans[0], (INDEX, "t:1 t:2")]),
        ([], [(TABLE, "t:1")]),
        ([], [(TABLE, "")]),
        ([], []),
    ]
    want = [True, False, False, True, False, False, False, False, True]
    assert world.changes_nothing(versions.check(sets)) == [Checked(2, holds) for holds in want]


@pytest.mark.parametrize("key", ["sequence", "doc:t:1", "table:t", "index:t:f"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.make_ready("t:f")
    world.break_key(key)
    reads = [("doc", "t:1", ""), ("job", "j", ""), ("key", "k", "")]
    world.refuses(versions.check([(reads, [(TABLE, ""), (INDEX, "")])]))


@pytest.mark.parametrize("key", ["status:j", "key:k"])
def test_a_damaged_key_is_as_good_as_none(world: World, key: str) -> None:
    # C6.2: it costs nobody else who asks in the same call.
    world.break_key(key)
    reads = [("job", "j", ""), ("key", "k", "")]
    assert world.run(versions.check([(reads, []), ([], [])])) == [Checked(0, holds=True)] * 2
