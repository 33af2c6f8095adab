"""A room for each test: one server for all, a namespace of its own, functions registered as a worker does it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from scheduler import App, EmbeddedServer, transitions, values
from scheduler.blocking import SyncScheduler
from scheduler.cli import cli
from scheduler.clients import blocking_client
from scheduler.job import JobError
from scheduler.keys import GROUP, Keys
from scheduler.script_call import Argument, Transition, Word
from scheduler.store import BlockingStore
from scheduler.transitions import Commit, Delivery
from tests.acl import limited

T = TypeVar("T")

MODULE = '''
from scheduler import App, MutationContext, ActionContext, QueryContext

app = App("{namespace}")

@app.mutation(name="shop:order", queue="orders")
async def order(ctx: MutationContext, item: int, note: str = "", *, gift: bool = False) -> str:
    """Place an order."""
    return note

@app.internal_action(name="shop:mail")
async def mail(ctx: ActionContext, to: str, /, tags: list[str] | None = None, **extra: int) -> None:
    pass

@app.query(name="shop:look")
async def look(ctx: QueryContext) -> int:
    return 1
'''

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of one server for all tests."""
    with EmbeddedServer(tmp_path_factory.mktemp("redis"), persistent=False) as running:
        yield running.url


@dataclass(frozen=True)
class Room:
    """The namespace of one test, and what it may do there."""

    url: str
    app: App
    store: BlockingStore
    scheduler: SyncScheduler
    module: str

    @property
    def keys(self) -> Keys:
        return self.store.keys

    @property
    def environment(self) -> dict[str, str]:
        return {"REDIS_URL": self.url, "DUESTREAM_NAMESPACE": self.app.namespace}

    def run(self, *words: str, stdin: str | bytes | None = None, **environment: str | None) -> Result:
        """Run a command line in this process."""
        env: dict[str, str | None] = {**self.environment, "COLUMNS": "200", **environment}
        return CliRunner().invoke(cli, list(words), input=stdin, env=env, prog_name="duestream")

    def ok(self, *words: str, stdin: str | bytes | None = None) -> str:
        """Run a command line that must succeed; what it printed on stdout."""
        result = self.run(*words, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str, stdin: str | bytes | None = None) -> Any:
        """The JSON that a command line prints."""
        return json.loads(self.ok(*words, "--json", stdin=stdin))

    def call(self, transition: Transition[T]) -> T:
        """Run one with the rights of who does so."""
        return limited(self.store, transition.script).run(transition)

    def join(self, name: str = "worker-1") -> None:
        """Announce a worker that has the app's functions."""
        described = {one.name: json.dumps(one.describe()) for one in self.app.functions.values()}
        fields: dict[str, Argument] = {
            "host": "box",
            "pid": 7,
            "queues": "default,orders",
            "concurrency": 4,
            "python": "3",
            "version": "1",
        }
        self.call(transitions.join(name, 60_000, fields, {}, described, ["default", "orders"]))

    def claim(self, queue: str) -> Delivery:
        """Take the next job out of a queue, as a worker does."""
        reply = self.store.command(
            "XREADGROUP", "GROUP", GROUP, "worker-1", "COUNT", 1, "STREAMS", self.keys.ready(queue), ">"
        )
        entry, flat = reply[0][1][0]
        fields = {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
        return Delivery(fields["job"].decode(), queue, entry.decode(), fields["token"].decode(), int(fields["attempt"]))

    def succeed(self, queue: str, name: str, result: object, key: str = "") -> str:
        """Run the next job of a queue to its success; its id."""
        return self._end(Commit(self.claim(queue), name, key, 3, "success", values.pack(result, "result")))

    def fail(self, queue: str, name: str, error: JobError, key: str = "") -> str:
        """Run the next job of a queue to its failure; its id."""
        return self._end(Commit(self.claim(queue), name, key, 3, "failed", error.pack()))

    def _end(self, commit: Commit) -> str:
        assert self.call(transitions.commit([commit], "worker-1")) == [Word.OK]
        return commit.delivery.job_id


@pytest.fixture
def empty(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A room in which no worker has been; the working directory is empty but for the app's module."""
    with _room(server, tmp_path, monkeypatch) as room:
        yield room


@pytest.fixture
def room(empty: Room) -> Room:
    """A room with one worker, which has registered `shop:order` and `shop:mail`."""
    empty.join()
    return empty


@contextlib.contextmanager
def _room(url: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    number = next(_numbers)
    module = f"shop_{number}"
    (directory / f"{module}.py").write_text(MODULE.format(namespace=f"cli-{number}"))
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    app: App = __import__(module).app
    store = BlockingStore(Keys(app.namespace), blocking_client(url))
    with SyncScheduler(app, url=url) as scheduler:
        yield Room(url, app, store, scheduler, module)
    left = store.command("KEYS", f"{app.namespace and store.keys.prefix}*")
    if left:
        store.command("DEL", *left)
    store.close()
