"""All scripts: their form, a full server, and a server that has forgotten them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lupa.lua51  # type: ignore[import-untyped]
import pytest
import redis

from scheduler import EmbeddedServer, scripts, transitions, versions
from scheduler.errors import QueueFull
from scheduler.job import CancelOutcome
from scheduler.script_call import Transition, Word
from scheduler.transitions import Retry
from scheduler.versions import Checked
from tests.transitions.conftest import ERROR, NOW, WORKER, World, close_world, make_world

FOLDER = Path(scripts.__file__).parent / "lua"
FILES = sorted(path.stem for path in FOLDER.glob("*.lua"))
MAY_PCALL = {"commit", "renew", "sustain", "join", "leave", "sweep", "show"}


GIVEN = {
    "ARGV", "KEYS", "assert", "error", "ipairs", "math", "pairs", "pcall", "redis", "string", "table", "tonumber",
    "tostring", "type", "unpack",
}  # fmt: skip


class Chunk:
    """Reads what Lua 5.1 compiled (`string.dump`, 64 bits): the globals that are written and read."""

    _HEADER_BYTES = 12
    _GETGLOBAL, _SETGLOBAL = 5, 7

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, self._HEADER_BYTES
        self.written: set[str] = set()
        self.used: set[str] = set()
        self._read_function()
        assert self._at == len(data)

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _int(self, size: int = 4) -> int:
        return int.from_bytes(self._take(size), "little")

    def _string(self) -> str:
        return self._take(self._int(8)).rstrip(b"\0").decode("latin-1")

    def _constant(self) -> object:
        kind = self._int(1)
        return self._string() if kind == 4 else self._take({0: 0, 1: 1, 3: 8}[kind])

    def _read_function(self) -> None:
        self._string()
        self._take(4 + 4 + 4)
        code = [self._int() for _ in range(self._int())]
        constants = [self._constant() for _ in range(self._int())]
        for instruction in code:
            if instruction & 0x3F in (self._GETGLOBAL, self._SETGLOBAL):
                found = self.written if instruction & 0x3F == self._SETGLOBAL else self.used
                found.add(str(constants[instruction >> 14]))
        for _ in range(self._int()):
            self._read_function()
        self._take(4 * self._int())
        for _ in range(self._int()):
            self._string()
            self._take(4 + 4)
        for _ in range(self._int()):
            self._string()


def globals_of(source: str) -> tuple[set[str], set[str]]:
    lua = lupa.lua51.LuaRuntime(encoding=None)
    dump = lua.eval(b"function(source) return string.dump(assert(loadstring(source))) end")
    chunk = Chunk(dump(source.encode()))
    return chunk.written, chunk.used


def test_the_search_for_globals_finds_them() -> None:
    source = "local a = 1; b = a; local function f() c = d; local a, e = a; a = 2 end"
    assert globals_of(source) == ({"b", "c"}, {"d"})


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def test_names_are_the_files() -> None:
    assert list(scripts.NAMES) == FILES


def test_every_script_has_its_tests() -> None:
    # Style 22. One with many has several files: test_<script>_<what>.py.
    here = Path(__file__).parent
    assert {path.stem.split("_")[1] for path in here.glob("test_*.py")} - {"scripts", "keys"} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_header(name: str) -> None:
    # Style 11
    header = text_of(name).partition("\n\n")[0].splitlines()
    assert re.match(r"-- [A-Z].*[.,:)a-z0-9]$", header[0])
    for word in (
        r"-- KEYS  1 '\{ns\}:'$",
        "-- ARGV  1 clock in ms or ''",
        "-- Returns ",
        "-- (Again: |Cost  )",
        "-- .*Caller: ",
    ):
        assert [line for line in header if re.match(word, line)], word


@pytest.mark.parametrize("name", FILES)
def test_includes_exist_and_base_is_the_first(name: str) -> None:
    includes = re.findall(r"^-- include: (.*)$", text_of(name), re.MULTILINE)
    assert includes[0] == "base"
    assert len(includes) == len(set(includes))
    assert [one for one in includes if not (FOLDER / "include" / f"{one}.lua").exists()] == []


@pytest.mark.parametrize("name", FILES)
def test_pcall_only_where_an_error_is_an_answer(name: str) -> None:
    # C6.3, style 12
    assert ("pcall" in text_of(name)) <= (name in MAY_PCALL)


@pytest.mark.parametrize("name", sorted(path.stem for path in (FOLDER / "include").glob("*.lua")))
def test_includes_are_used_and_pcall_only_what_is_one_jobs(name: str) -> None:
    assert any(f"-- include: {name}\n" in text_of(one) for one in FILES)
    assert ("pcall" in text_of(f"include/{name}")) <= (name == "job")


@pytest.mark.parametrize("name", FILES)
def test_no_globals(name: str) -> None:
    # Style 12: named locals. Lua's own compiler says what is global.
    written, used = globals_of(scripts.load(name).plain)
    assert (written, used - GIVEN) == (set(), set())


# A full server


@pytest.fixture(scope="module")
def small_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    with (
        EmbeddedServer(tmp_path_factory.mktemp("small"), persistent=False) as server,
        redis.Redis.from_url(server.url, protocol=2) as client,
    ):
        client.ping()
        yield client


@pytest.fixture
def small(small_client: redis.Redis) -> Iterator[World]:
    """An app on a server that `fill` makes full."""
    world = make_world(small_client)
    yield world
    world.command("CONFIG", "SET", "maxmemory", 0)
    close_world(world)


def fill(world: World) -> None:
    world.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    world.command("CONFIG", "SET", "maxmemory", 1)


def schedules(world: World) -> Transition[Any]:
    return transitions.schedule([world.request(), world.request(delay=9)], NOW)


def schedules_a_canceled(world: World) -> Transition[Any]:
    return transitions.schedule([world.request(born="canceled")], NOW)


def writes(world: World) -> Transition[Any]:
    return transitions.commit([world.commit_of(world.deliver(), writes=[("add", "t:1", b"x")])], WORKER, NOW)


def deletes(world: World) -> Transition[Any]:
    world.commit(world.deliver(), writes=[("add", "t:1", b"x")])
    return transitions.commit([world.commit_of(world.deliver(), writes=[("del", "t:1", b"")])], WORKER, NOW)


def has_children(world: World) -> Transition[Any]:
    return transitions.commit([world.commit_of(world.deliver(), children=[world.request()])], WORKER, NOW)


def is_last_of_a_batch(world: World) -> Transition[Any]:
    plain, full = world.commit_of(world.deliver()), world.commit_of(world.deliver(), children=[world.request()])
    return transitions.commit([plain, full], WORKER, NOW)


def cancels(world: World) -> Transition[Any]:
    return transitions.commit([world.commit_of(world.deliver(), cancels=[world.schedule(delay=9)])], WORKER, NOW)


def builds_an_index(world: World) -> Transition[Any]:
    world.write(("add", "t:1", b"x"))
    world.run(versions.declare(["t:f"]))
    return versions.reindex("t:f", 0, None, [("t:1", world.read("doc", "t:1").version, b"\x02")], world.catalog())


@pytest.mark.parametrize(
    "make",
    [
        schedules, schedules_a_canceled, writes, deletes, has_children, is_last_of_a_batch, cancels, builds_an_index,
    ],
)  # fmt: skip
def test_a_full_server_refuses_all_or_nothing(small: World, make: Callable[[World], Transition[Any]]) -> None:
    # C6.3
    call = make(small)
    fill(small)
    before = small.dump()
    with pytest.raises(QueueFull):
        small.run(call)
    assert small.dump() == before


def test_a_full_server_can_drain(small: World) -> None:
    # C6.3: those that finish, renew, cancel or prune run on.
    action, done, failed = small.begin(), small.deliver(), small.deliver()
    again, pending, lost = small.deliver(), small.schedule(delay=5), small.begin(lease_ms=1)
    fill(small)
    assert small.run(
        transitions.renew(WORKER, 9, 9, 1, "", {action.job_id: action.token}, {"q": [done.entry]}, NOW)
    ).held
    assert small.finish(action) is Word.OK
    assert small.run(transitions.seal([transitions.Seal(done)], NOW)) == [Word.OK]
    assert (small.commit(done), small.commit(failed, "failed")) == (Word.OK, Word.OK)
    assert small.run(transitions.retry([Retry(again, 1, 50)], NOW)) == [Word.OK]
    assert small.run(transitions.promote("p", 1000, 10, NOW + 50)).moved == 2
    assert small.cancel(pending) == [CancelOutcome.CANCELED]
    assert small.run(transitions.expire(10, ERROR, NOW + 1)).failed == 1
    (delivery,) = small.claim()
    assert small.run(transitions.begin([delivery], WORKER, 1000, NOW)) == [Word.OK]
    assert lost.job_id != action.job_id
    assert small.run(transitions.show([done.job_id])) != [None]
    assert small.read("job", done.job_id).version == "success"
    assert small.run(versions.check([([("job", done.job_id, "success")], [])])) == [Checked(0, holds=True)]
    assert small.run(versions.declare(["t:f"])).indexes == {"t:f": None}
    assert small.run(versions.forget("t:f")) is True
    assert small.run(transitions.leave(WORKER, "p", ["q"], NOW)) == 0
    assert small.run(transitions.prune(10, NOW + 8 * 24 * 3600 * 1000))[:2] == (5, False)


def test_a_full_server_takes_deliveries_back(small: World) -> None:
    # C3.3, C3.4
    small.deliver()
    fill(small)
    assert small.run(transitions.redeliver(0, 2, 10, ERROR, NOW)).redelivered == 1


# A server that has forgotten the scripts


@pytest.mark.parametrize("allow_oom", [False, True], ids=["as it is", "allow-oom"])
def test_forgotten_scripts_are_sent_again(small: World, allow_oom: bool) -> None:
    # C2.10, C7.3
    call = transitions.commit(
        [small.commit_of(small.deliver(), children=[] if allow_oom else [small.request()])], WORKER, NOW
    )
    small.command("SCRIPT", "FLUSH")
    assert small.run(call) == [Word.OK]
    small.command("SCRIPT", "FLUSH")
    assert small.run(call) == [Word.ALREADY]


@pytest.mark.parametrize("name", FILES)
def test_the_server_takes_every_script(real_world: World, name: str) -> None:
    for script in (scripts.load(name), scripts.load(name, allow_oom=True)):
        assert real_world.command("SCRIPT", "LOAD", script.source).decode() == script.sha
        assert script.source.endswith(script.plain)
