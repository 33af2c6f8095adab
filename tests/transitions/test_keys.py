"""The table of keys in `scheduler/keys.py` against all that scripts write."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import pytest

from scheduler import keys, transitions, versions
from scheduler.script_call import Word
from scheduler.transitions import Commit, Delivery
from tests.transitions.conftest import NAME, NOW, RESULT, WORKER, World


class Row(NamedTuple):
    """A row of the table."""

    pattern: re.Pattern[str]
    type: str
    holds: str


def rows() -> list[Row]:
    """The table: columns are as wide as the lines of '=' above them."""
    _, rule, text = re.split(r"^(=+ +=[= ]+)$", str(keys.__doc__), maxsplit=1, flags=re.MULTILINE)
    places = [match.start() for match in re.finditer("=+", rule)]
    table: list[Row] = []
    for line in text.partition("\n=")[2].partition("\n")[2].partition("\n=")[0].splitlines():
        name, kind, holds = (line[a:b].strip() for a, b in pairwise(places[:4]))
        if name:
            parts = re.split(r"<[^>]+>", name.strip("`"))
            table.append(Row(re.compile("(.+)".join(map(re.escape, parts))), kind, holds))
        else:
            table[-1] = table[-1]._replace(holds=f"{table[-1].holds} {holds}")
    return table


def every_kind_of_key(world: World) -> list[str]:
    """A life of an app, after which each kind of key is there. Returns the ids of its jobs that began or ended."""
    world.run(transitions.join(WORKER, 5000, {}, {"keep_ms": 9, f"keep_ms:{NAME}": 9}, {NAME: "{}"}, ["q"], NOW))
    world.run(transitions.promote("p", 1000, 10, NOW))
    world.run(transitions.leave("other", "p", [], NOW))
    world.run(transitions.promote("p", 1000, 10, NOW))
    world.schedule(delay=9, key="k")
    running = world.begin()
    watched = world.deliver()
    world.run(transitions.watch(watched.job_id, "m"))
    assert world.commit(watched) is Word.OK
    world.write(("add", "old:1", b""))
    world.run(versions.declare(["t:f,g", "old:f"]))
    commit = Commit(Delivery("", "", "", "direct", 1), NAME, "", 0, "success", RESULT)
    assert world.run(transitions.commit([commit], WORKER, NOW)) == [Word.OK]
    world.write(
        ("add", "t:1", b""), entries=[("add", "t:f,g", "t:1", b"\x02\x02")], catalog=world.catalog(), conflicts=1
    )
    return [running.job_id, watched.job_id, world.in_state("failed").job_id]


def test_every_key_stands_in_the_table(world: World) -> None:
    every_kind_of_key(world)
    seen = set()
    for key in world.all_keys():
        name = key.decode().removeprefix(world.keys.prefix)
        (row,) = [row for row in rows() if row.pattern.fullmatch(name)]
        kind = world.command("TYPE", key).decode()
        assert (name, row.type) == (name, {"zset": "sorted set"}.get(kind, kind))
        seen.add(row)
    assert seen == set(rows())


def test_the_fields_of_hashes_stand_in_the_table(world: World) -> None:
    job_ids = every_kind_of_key(world)
    states = {"success", "failed", "canceled"}
    for kind, names in {"doc": ["t:1"], "status": job_ids, "stats": [NAME]}.items():
        (row,) = [row for row in rows() if row.pattern.fullmatch(f"{kind}:x:y") and row.type == "hash"]
        for name in names:
            fields = {field.decode() for field in world.command("HGETALL", world.key(f"{kind}:{name}"))[::2]}
            assert fields
            assert fields - states <= set(re.findall("[a-z]+", row.holds))


def test_the_kinds_are_those_of_the_table(world: World) -> None:
    every_kind_of_key(world)
    volatile, seen = world.photo().volatile, set()
    for key in world.all_keys():
        name = key.decode().removeprefix(world.keys.prefix)
        kind = keys.kind_of(name)
        assert kind is not None, name
        assert kind.type == world.command("TYPE", key).decode()
        assert kind.ends in (None, key in volatile), name
        seen.add(next(one for one, of in keys.KINDS.items() if of is kind))
    assert len(seen) == len(rows()) == len(keys.KINDS)


@pytest.mark.parametrize("name", ["", "x", "due", "due:", "jobs:1", "functions:unseen", "running:1", ":", "promoter2"])
def test_names_that_nobody_writes(name: str) -> None:
    assert keys.kind_of(name) is None
