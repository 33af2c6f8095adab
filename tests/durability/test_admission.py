"""What is not supported is refused at the start, with a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from scheduler import App, ConfigurationError, EmbeddedServer, Scheduler, SyncScheduler
from scheduler.admission import Server
from tests.durability.machine import Pair
from worker.connections import Connections
from worker.promoting import promote
from worker.runtime import Worker
from worker.serving import check, serve
from worker.settings import WorkerSettings

GOOD = {
    "redis_version": "7.0.15", "role": "master", "cluster_enabled": "0", "maxmemory_policy": "noeviction",
}  # fmt: skip
SCRIPTS = b":0\r\n"


class FakeServer:
    """A server by its answers: TIME, INFO, EVAL, CLIENT ID; all else is OK."""

    def __init__(self, facts: dict[str, str], script: bytes = SCRIPTS, info: bytes | None = None) -> None:
        text = "# Server\r\n" + "".join(f"{name}:{value}\r\n" for name, value in facts.items())
        self._answers = {
            b"TIME": b"*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n",
            b"INFO": info or f"${len(text)}\r\n{text}\r\n".encode(),
            b"EVAL": script,
            b"CLIENT ID": b":7\r\n",
        }
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                thread = threading.Thread(target=self._serve, args=(self._socket.accept()[0],), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(ConnectionError):
            while head := lines.readline():
                words = [lines.read(int(lines.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
                name = b" ".join(words[:2]).upper() if words[0].upper() == b"CLIENT" else words[0].upper()
                connection.sendall(self._answers.get(name, b"+OK\r\n"))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who accepts
        self._socket.close()
        for thread in self._threads:
            thread.join(5)


@contextlib.contextmanager
def server(facts: dict[str, str], **answers: bytes) -> Iterator[str]:
    one = FakeServer(GOOD | facts, **answers)
    yield one.url
    one.close()


REFUSED = [
    ({"redis_version": "6.2.14"}, "Redis 6.2.14 is too old: duestream needs Redis 7.0 or newer, or Valkey"),
    ({"redis_version": "5"}, "Redis 5 is too old: duestream needs Redis 7.0 or newer, or Valkey"),
    ({"redis_version": "??"}, "Redis ?? is too old: duestream needs Redis 7.0 or newer, or Valkey"),
    (
        {"cluster_enabled": "1"},
        "the server is a node of a cluster, which duestream does not support: name one that stands alone",
    ),
    (
        {"role": "slave", "master_host": "db1", "master_port": "6379"},
        "the server is a read-only replica: name its primary, db1:6379",
    ),
]
FOR_WORKERS = (
    {"maxmemory_policy": "allkeys-lru"},
    "the server's maxmemory-policy is allkeys-lru, which deletes waiting jobs without a word: set it to noeviction",
)


async def open_both(url: str) -> list[str]:
    """What the two clients say, '' where they open."""
    said = []
    try:
        async with Scheduler(App("shop"), url=url):
            said.append("")
    except ConfigurationError as error:
        said.append(str(error))
    try:
        with SyncScheduler(App("shop"), url=url):
            said.append("")
    except ConfigurationError as error:
        said.append(str(error))
    return said


async def start_all(url: str) -> list[str]:
    """What worker, supervisor and promoter say."""
    app, settings, said = App("shop"), WorkerSettings(), []
    stop = asyncio.Event()
    with pytest.raises(ConfigurationError) as caught:
        await serve(app, url, settings, stop)
    said.append(str(caught.value))
    with pytest.raises(ConfigurationError) as caught:
        await Worker(app, Connections(url), settings).run()
    said.append(str(caught.value))
    with pytest.raises(ConfigurationError) as caught:
        check(app, url, settings)
    said.append(str(caught.value))
    with pytest.raises(ConfigurationError) as caught:
        await promote("shop", url, stop)
    said.append(str(caught.value))
    return said


@pytest.mark.parametrize(("facts", "said"), REFUSED, ids=[str(facts) for facts, _ in REFUSED])
async def test_refused_by_all(facts: dict[str, str], said: str) -> None:
    with server(facts) as url:
        assert await open_both(url) == [said] * 2
        assert await start_all(url) == [said] * 4


async def test_eviction_of_any_key_is_refused_by_workers() -> None:
    facts, said = FOR_WORKERS
    with server(facts) as url:
        assert await open_both(url) == [""] * 2
        assert await start_all(url) == [said] * 4


@pytest.mark.parametrize("error", ["unknown command 'EVAL'", "Unknown Redis command called from script"])
async def test_a_server_without_scripts_or_streams_is_refused(error: str) -> None:
    with server({}, script=f"-ERR {error}\r\n".encode()) as url:
        said = f"the server has no Lua scripts or no streams: {error}"
        assert await open_both(url) == [said] * 2
        assert await start_all(url) == [said] * 4


@pytest.mark.parametrize(
    "facts",
    [
        {}, {"redis_version": "8.2.3"}, {"redis_version": "7.2.4", "valkey_version": "9.1.0"},
        {"redis_version": "10.0.0"}, {"maxmemory_policy": "volatile-lru"},
    ],
    ids=str,
)  # fmt: skip
async def test_taken_by_all(facts: dict[str, str]) -> None:
    with server(facts) as url:
        assert await open_both(url) == [""] * 2
        check(App("shop"), url, WorkerSettings())


@pytest.mark.parametrize("info", [b"-NOPERM no permission for INFO\r\n", b"-ERR unknown command 'INFO'\r\n"])
async def test_one_that_does_not_let_itself_be_asked_is_taken_as_it_is(info: bytes) -> None:
    with server({"redis_version": "6.2.14"}, info=info) as url:
        assert await open_both(url) == [""] * 2
        check(App("shop"), url, WorkerSettings())


def test_valkey_is_called_by_its_own_version() -> None:
    info = b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.0\r\nrole:master\r\n"
    assert Server.of(info) == Server("Valkey 9.1.0", (7, 2), False, "", "")


# By real servers


async def test_a_real_cluster_node_is_refused(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, persistent=False, config={"cluster-enabled": "yes"}) as node:
        for said in [*await open_both(node.url), *await start_all(node.url)]:
            assert "node of a cluster" in said


async def test_a_real_replica_is_refused(pair: Pair) -> None:
    said = f"the server is a read-only replica: name its primary, 127.0.0.1:{urlsplit(pair.primary.url).port}"
    assert await open_both(pair.replica.url) == [said] * 2
    assert await start_all(pair.replica.url) == [said] * 4


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_real_server_that_evicts_is_refused(tmp_path: Path, policy: str) -> None:
    with EmbeddedServer(tmp_path, persistent=False, config={"maxmemory-policy": policy}) as evicting:
        for said in await start_all(evicting.url):
            assert f"maxmemory-policy is {policy}" in said


async def test_the_servers_of_the_matrix_are_taken(url: str) -> None:
    assert await open_both(url) == [""] * 2
    check(App("shop"), url, WorkerSettings())


async def test_a_user_who_may_not_run_scripts_is_told_so(url: str) -> None:
    with redis.Redis.from_url(url) as operator:
        operator.acl_setuser("p", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@all"],
                             commands=["-eval"])  # fmt: skip
        try:
            for said in await open_both(url.replace("redis://", "redis://p:pw@")):
                assert said.startswith("Redis refused the credentials or lacks a permission: ")
        finally:
            operator.acl_deluser("p")
