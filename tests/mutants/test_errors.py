"""Scripts whose k-th command fails, for each k (C6.3): Redis rolls nothing back, so all checks come first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from scheduler import scripts, transitions
from scheduler.script_call import Transition
from scheduler.transitions import Commit
from tests.mutants import samples
from tests.mutants.samples import SAMPLES, Sample
from tests.transitions.conftest import NOW, WORKER, World

READS = {
    "EXISTS", "GET", "GETRANGE", "HEXISTS", "HGET", "HGETALL", "HLEN", "HMGET", "LLEN", "PTTL", "SISMEMBER", "SMEMBERS",
    "TIME", "TYPE", "XINFO", "XLEN", "XPENDING", "XRANGE", "ZCARD", "ZRANGE", "ZRANGEBYSCORE", "ZSCORE",
    "SETRANGE",  # of an empty string: it asks whether the server is full, and writes nothing
}  # fmt: skip

READ_AFTER_A_WRITE: dict[str, set[str]] = {
    "schedule": {"LLEN", "ZRANGEBYSCORE"},
    "commit": {"LLEN", "TYPE", "ZRANGEBYSCORE"},
    "retry": {"LLEN", "TYPE"},
    "revert": {"GETRANGE", "HMGET", "LLEN", "ZRANGEBYSCORE"},
    "declare": {"HGET", "HGETALL"},
    "promote": {"ZRANGE", "ZRANGEBYSCORE"},
    "expire": {"TYPE", "ZRANGE"},
    "finish": {"TYPE"},
    "cancel": {"TYPE"},
    "redeliver": {"TYPE"},
    "leave": {"GET"},
    "mend": {"LLEN", "ZRANGEBYSCORE"},
    "renew": {"HMGET"},
}
"""By script; all else is read before. Most of these keys were looked at before, so that they cannot fail by themselves:
what was added goes on to its stream at once, the next due time, the next lease and the catalog are told, and a mailbox
is asked for its type so that it cannot fail. A heartbeat stays though a lease cannot be renewed, and what a worker gave
back stays given back though the promoter's key is damaged."""

READ_ONLY = {"check", "count", "describe", "examine", "permit", "read", "show", "survey", "tally"}

WRAPPER = """
local made, wrote, READS = 0, false, {{ {reads} }}
local function counted(...)
  local name = ...
  made = made + 1
  if made == {k} then
    error('INJECTED ' .. name .. ' ' .. (wrote and 'late' or 'early'), 0)
  end
  wrote = wrote or not READS[name]
  return redis.call(...)
end
"""


def failing(transition: Transition[Any], k: int) -> Transition[Any]:
    """The same call of a script whose k-th command raises an error."""
    wrapper = WRAPPER.format(reads=", ".join(f"{name} = true" for name in sorted(READS)), k=k)
    plain = wrapper + transition.script.plain.replace("redis.call(", "counted(")
    sha = hashlib.sha1(plain.encode(), usedforsecurity=False).hexdigest()
    return replace(transition, script=scripts.Script(transition.script.name, plain, sha, plain))


def errors(world: World, make: Sample) -> Iterator[tuple[str, bool, Transition[Any], dict[bytes, object]]]:
    """For each k: the command that failed, whether anything had been written, the call, and the data set before it."""
    for k in range(1, 1000):
        if keys := world.all_keys():
            world.command("DEL", *keys)
        call = make(world)
        before = world.dump()
        try:
            world.run(failing(call, k))
        except redis.ResponseError as error:
            command, when = re.findall(r"INJECTED (\w+) (late|early)", str(error))[0]
            yield command, when == "late", call, before
        else:
            assert world.dump() != before, "no rich sample"
            return


def test_every_script_that_writes_has_a_sample(real_world: World) -> None:
    names = set()
    for make in SAMPLES:
        names.add(make(real_world).script.name)
        real_world.command("FLUSHALL")
    assert {path.stem for path in (Path(scripts.__file__).parent / "lua").glob("*.lua")} - names == READ_ONLY


@pytest.mark.parametrize("make", SAMPLES, ids=lambda make: make.__name__)
def test_an_error_before_the_first_write_changes_nothing(real_world: World, make: Sample) -> None:
    name, late = "", set()
    for command, wrote, call, before in errors(real_world, make):
        name = call.script.name
        if wrote:
            late.add(command)
        else:
            assert real_world.dump() == before, command
            assert real_world.run(call) is not None
    assert late & READS <= READ_AFTER_A_WRITE.get(name, set())


def traces(world: World, one: Commit) -> set[bool]:
    """Whether each trace of a commit is there: its documents, entries, children, cancels, its own end."""
    version = f"{one.delivery.attempt}-{one.delivery.token}"
    written = [world.read("doc", document).version == version for _, document, _ in one.writes]
    entries = [
        any(entry.startswith(key) and document.encode() in entry for entry, _ in world.index(index)) == (op == "add")
        for op, index, document, key in one.entries
    ]
    children = [bool(world.exists(f"job:{child.id}")) for child in one.children]
    ended = [world.state(job_id) in ("success", "canceled") for job_id in (one.delivery.job_id, *one.cancels)]
    return {*written, *entries, *children, *ended}


def test_of_several_mutations_each_is_applied_entirely_or_not_at_all(real_world: World) -> None:
    """C3.1, whatever check fails, and those before it stay. That a write fails is simulated, and cannot happen."""
    commits: list[Commit] = []

    def several(world: World) -> Transition[Any]:
        commits[:] = [samples.commit_of(world, table) for table in "tuv"]
        return transitions.commit(commits, WORKER, NOW)

    checks, applied = 0, list[int]()
    for command, _, call, _ in errors(real_world, several):
        if command in READS:
            checks += 1
            seen = [traces(real_world, one) for one in commits]
            assert all(len(one) == 1 for one in seen), command
            applied.append(seen.count({True}))
            # C3.1: sent again, it does the rest, and nothing twice.
            real_world.run(call)
            assert [traces(real_world, one) for one in commits] == [{True}] * len(commits), command
    assert checks > 20
    assert applied == sorted(applied)
    assert set(applied) == set(range(len(commits) + 1))
