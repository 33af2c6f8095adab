"""What most tests share: a real server, a fresh namespace for each test, a worker in the test's own event loop.

No key outlives its test, and none may be written outside its namespace.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

import pytest
import redis
import uvloop

from scheduler import App, EmbeddedServer, Scheduler
from scheduler.clients import async_client
from scheduler.embedded import process
from scheduler.keys import Keys, kind_of
from scheduler.role import Role
from scheduler.store import AsyncStore
from tests import acl, leaks, servers
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings

DEADLINE_S = 10.0
ACCOUNT = pytest.StashKey[leaks.Account]()


class StartWorker(Protocol):
    """Starts a worker in the test's event loop; it is stopped when the test is over."""

    async def __call__(
        self, of: App | None = None, /, *, queues: tuple[str, ...] = ("default",), concurrency: int = 50
    ) -> Worker: ...


async def until(condition: Callable[[], bool | Awaitable[bool]], deadline_s: float = DEADLINE_S) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    end = time.monotonic() + deadline_s
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < end, f"not so after {deadline_s:g} s"
        await asyncio.sleep(0.005)


class WideFixtures:
    """What a fixture of a wider scope opens is no leak of the test that needs it first.

    A plugin of its own, for the hooks of a conftest are not called for fixtures of the whole session.
    """

    def __init__(self, account: leaks.Account) -> None:
        self._account = account

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        with self._account.of_wide_fixture():
            return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ACCOUNT] = leaks.Account()
    config.pluginmanager.register(WideFixtures(config.stash[ACCOUNT]))


@pytest.fixture(scope="session", autouse=True)
def watched_tasks(request: pytest.FixtureRequest) -> Iterator[None]:
    uvloop.new_event_loop().close()  # the first one opens a pipe that is the process's
    with leaks.tasks_watched(request.config.stash[ACCOUNT]):
        yield


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test no task, thread, open file, connection or child process is left."""
    account = request.config.stash[ACCOUNT]
    account.tasks.clear()
    before = leaks.look()
    yield
    account.ports |= acl.ports()
    assert account.settle(before) == []


@pytest.fixture(scope="session", autouse=True)
def server_of_the_matrix() -> Iterator[None]:
    """What `EmbeddedServer` starts in this process, where DUESTREAM_TEST_SERVER names another than Valkey 9."""
    with pytest.MonkeyPatch.context() as patch:
        chosen = servers.chosen()
        if chosen is not None:
            patch.setattr(process, "find_server", lambda: chosen)
        yield


@pytest.fixture(scope="session", autouse=True)
def users_of_the_server() -> Iterator[None]:
    """Where DUESTREAM_TEST_ACL is set: each client of the product may do no more than its role must."""
    with acl.installed():
        yield


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a real server that all tests share."""
    with EmbeddedServer(tmp_path_factory.mktemp("server"), persistent=False) as server:
        yield server.url


@pytest.fixture
def namespace(url: str) -> Iterator[str]:
    """A namespace of this test's own; afterwards no key is left, and none was there that keys.py does not know."""
    name = f"t-{secrets.token_hex(6)}"
    yield name
    with redis.Redis.from_url(url) as client:
        keys: list[bytes] = list(client.scan_iter(count=1000))
        client.flushall()
    prefix = f"{{{name}}}:".encode()
    assert [key for key in keys if not key.startswith(prefix)] == []
    names = [key.removeprefix(prefix).decode(errors="replace") for key in keys]
    assert [name for name in names if kind_of(name) is None] == []


@pytest.fixture
def app(namespace: str, url: str) -> App:
    """An app with nothing registered."""
    return App(namespace, url=url)


@pytest.fixture
async def scheduler(app: App, url: str) -> AsyncIterator[Scheduler]:
    """The app's client."""
    async with Scheduler(app, url=url) as client:
        yield client


@pytest.fixture
async def look(namespace: str, url: str) -> AsyncIterator[AsyncStore]:
    """The app's keys for the test itself, which may do what no client of the product does."""
    store = AsyncStore(Keys(namespace), async_client(url))
    yield store
    await store.close()


StoreOf = Callable[[Role], AsyncStore]


@pytest.fixture
async def store_of(namespace: str, url: str) -> AsyncIterator[StoreOf]:
    """The app's keys for what a test does instead of a client of the product, with the rights of that."""
    async with AsyncExitStack() as opened:

        def make(role: Role) -> AsyncStore:
            store = AsyncStore(Keys(namespace), async_client(acl.as_role(url, role)))
            opened.push_async_callback(store.close)
            return store

        yield make


@pytest.fixture
async def start_worker(app: App, url: str) -> AsyncIterator[StartWorker]:
    """Starts workers, to be called when all functions are registered."""
    async with AsyncExitStack() as started:

        async def start(
            of: App | None = None, /, *, queues: tuple[str, ...] = ("default",), concurrency: int = 50
        ) -> Worker:
            settings = WorkerSettings(queues=queues, concurrency=concurrency, grace_s=2.0, keeper=False)
            return await started.enter_async_context(running(of or app, url, settings))

        yield start


@pytest.fixture
async def worker(start_worker: StartWorker) -> Worker:
    """A worker of the app. What is registered after its start runs too, but is not announced to others."""
    return await start_worker()


@asynccontextmanager
async def running(app: App, url: str, settings: WorkerSettings, look: str | None = None) -> AsyncIterator[Worker]:
    """A worker that works until the block is left; `look` is the url by which the test looks whether it has come."""
    one = Worker(app, Connections(url), settings)
    task = asyncio.create_task(one.run())
    await until(lambda: task.done() or one.started.is_set())
    if task.done():
        task.result()  # what kept it from starting
    try:
        yield one
    finally:
        one.stop()
        await task
