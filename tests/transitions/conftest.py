"""One app's data set on a real server and on fakeredis, with a clock by hand, and what tests ask of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import fakeredis
import pytest
import redis

from scheduler import EmbeddedServer, transitions, values, versions
from scheduler.call import Request
from scheduler.ids import JobId, JobIds
from scheduler.job import CancelOutcome, Job, JobError
from scheduler.keys import GROUP, Keys
from scheduler.script_call import Transition, Word
from scheduler.spec import pack_head
from scheduler.store import BlockingStore
from scheduler.transitions import Commit, Delivery, Finish
from scheduler.versions import Document
from tests.acl import limited
from tests.transitions.photo import Dump, Photo, take_photo

T = TypeVar("T")

NOW = 1_800_000_000_000
WORKER = "w1"
NAME = "shop:order"
RESULT = values.pack("done", "result")
ERROR = JobError("Boom", "it broke").pack()
BROKEN_BY_SET = ("due", "status", "doc", "running", "done", "expiry", "stats", "settings", "table", "indexes")
NO_ARGS = values.pack([], "args") + values.pack({}, "kwargs")


def strings(*texts: str) -> bytes:
    return b"".join(values.pack(text, "spec") for text in texts)


@dataclass
class World:
    """One app. `now` is the time that every call is given unless it says otherwise."""

    store: BlockingStore
    now: int = NOW
    ids: JobIds = field(default_factory=lambda: JobIds(lambda: NOW))

    @property
    def keys(self) -> Keys:
        return self.store.keys

    @property
    def fake(self) -> bool:
        return self.store.fake

    def run(self, transition: Transition[T]) -> T:
        return limited(self.store, transition.script).run(transition)

    def command(self, *command: Any) -> Any:
        return self.store.execute(*command)

    def key(self, name: str) -> str:
        return self.keys.prefix + name

    def exists(self, *names: str) -> int:
        return int(self.command("EXISTS", *(self.key(name) for name in names)))

    # The whole data set

    def all_keys(self) -> list[bytes]:
        return sorted(self.command("KEYS", self.keys.prefix.replace("{", "[{]").replace("}", "[}]") + "*"))

    def photo(self) -> Photo:
        return take_photo(self.command, self.keys.prefix)

    def dump(self) -> Dump:
        """Every key with its value, and of streams the groups and what is pending."""
        return self.photo().dump

    # Making jobs

    def request(
        self,
        *,
        queue: str = "q",
        name: str = NAME,
        kind: str = "mutation",
        delay: int = 0,
        at: int | None = None,
        parent: str = "",
        key: str = "",
        born: str = "",
        args: bytes = NO_ARGS,
    ) -> Request:
        mode, ms = ("after", delay) if at is None else ("at", at)
        tail = pack_head(queue, name, kind, parent, key) + args
        return Request(self.ids.new(), queue, name, mode, ms, parent, key, born, tail)

    def schedule(self, **options: Any) -> JobId:
        request = self.request(**options)
        assert self.run(transitions.schedule([request], self.now)) == [(Word.OK, request.id)]
        return request.id

    def claim(self, queue: str = "q", worker: str = WORKER, count: int = 1000) -> list[Delivery]:
        """Read what is ready, as a worker does."""
        self.make_group(queue)
        command = ("XREADGROUP", "GROUP", GROUP, worker, "COUNT", count, "STREAMS", self.keys.ready(queue), ">")
        reply = self.command(*command)
        return [] if not reply else [self._delivery(queue, entry, flat) for entry, flat in reply[0][1]]

    def entries(self, queue: str = "q") -> list[tuple[str, dict[str, bytes]]]:
        """All entries of a ready stream."""
        return [
            (entry.decode(), _fields(flat)) for entry, flat in self.command("XRANGE", self.keys.ready(queue), "-", "+")
        ]

    def ready(self, queue: str = "q") -> list[str]:
        """The ids of the jobs in a ready stream, in order."""
        return [fields["job"].decode() for _, fields in self.entries(queue)]

    def due(self, queue: str = "q") -> dict[str, int]:
        flat = self.command("ZRANGE", self.keys.due(queue), 0, -1, "WITHSCORES")
        return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}

    def make_group(self, queue: str = "q") -> None:
        stream = self.keys.ready(queue)
        groups = self.command("XINFO", "GROUPS", stream) if self.command("EXISTS", stream) else []
        if not groups:
            self.command("SADD", self.keys.queues, queue)
            self.command("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")

    @staticmethod
    def _delivery(queue: str, entry: bytes, flat: Sequence[bytes]) -> Delivery:
        got = _fields(flat)
        return Delivery(got["job"].decode(), queue, entry.decode(), got["token"].decode(), int(got["attempt"]))

    def deliver(self, **options: Any) -> Delivery:
        """A mutation in a worker's hands."""
        job_id = self.schedule(**options)
        return next(d for d in self.claim(options.get("queue", "q")) if d.job_id == job_id)

    def begin(self, lease_ms: int = 1000, **options: Any) -> Delivery:
        """An action in progress."""
        delivery = self.deliver(kind="action", **options)
        assert self.run(transitions.begin([delivery], WORKER, lease_ms, self.now)) == [Word.OK]
        return delivery

    def finish(self, delivery: Delivery, state: str = "success", **options: Any) -> Word:
        (word,) = self.run(transitions.finish([self.end(delivery, state, **options)], self.now))
        return word

    @staticmethod
    def end(delivery: Delivery, state: str = "success", *, name: str = NAME, key: str = "") -> Finish:
        return Finish(delivery, name, key, state, RESULT if state == "success" else ERROR)

    @staticmethod
    def commit_of(
        delivery: Delivery, state: str = "success", *, name: str = NAME, key: str = "", **effects: Any
    ) -> Commit:
        return Commit(delivery, name, key, 7, state, RESULT if state == "success" else ERROR, **effects)

    def commit(self, delivery: Delivery, state: str = "success", **effects: Any) -> Word:
        (word,) = self.run(transitions.commit([self.commit_of(delivery, state, **effects)], WORKER, self.now))
        return word

    def write(self, *writes: tuple[str, str, bytes], **effects: Any) -> Delivery:
        """Write documents, as a mutation of its own."""
        delivery = self.deliver()
        assert self.commit(delivery, writes=writes, **effects) is Word.OK
        return delivery

    def cancel(self, *job_ids: str) -> list[CancelOutcome]:
        return self.run(transitions.cancel(job_ids, self.now))

    def in_state(self, state: str, **options: Any) -> Delivery:
        """A job in a state of C5.1, with the delivery that was its last."""
        make = self.begin if state in ("inProgress", "canceled action") else self.deliver
        delivery = make(**options)
        if state in ("canceled", "canceled action"):
            self.cancel(delivery.job_id)
        elif state in ("success", "failed"):
            assert self.commit(delivery, state, key=options.get("key", "")) is Word.OK
        return delivery

    # Looking

    def job(self, job_id: str) -> Job | None:
        (job,) = self.run(transitions.show([job_id]))
        return job

    def state(self, job_id: str) -> str | None:
        job = self.job(job_id)
        return None if job is None else job.state.value

    def status(self, job_id: str) -> dict[str, bytes]:
        return _fields(self.command("HGETALL", self.keys.status(job_id)))

    def stats(self, name: str = NAME) -> dict[str, int]:
        flat = self.command("HGETALL", self.keys.stats(name))
        return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}

    def read(self, kind: str, key: str) -> Document:
        (found,) = self.run(versions.read([(kind, key)])).things
        return found

    def table(self, table: str = "t") -> dict[str, int]:
        """The ids of the documents of a table, in order, and their numbers of creation."""
        flat = self.command("ZRANGE", self.key(f"table:{table}"), 0, -1, "WITHSCORES")
        return {flat[i].decode(): int(flat[i + 1]) for i in range(0, len(flat), 2)}

    def index(self, index: str) -> list[tuple[bytes, int]]:
        """The entries of an index, in order, and their scores."""
        flat = self.command("ZRANGE", self.key(f"index:{index}"), 0, -1, "WITHSCORES")
        return [(flat[i], int(flat[i + 1])) for i in range(0, len(flat), 2)]

    def make_ready(self, index: str) -> None:
        """Say that an index is built, and leave the version of the catalog as it is."""
        self.command("HSET", self.key("indexes"), index, "ready")

    def indexes(self) -> dict[str, bytes]:
        """The catalog."""
        return _fields(self.command("HGETALL", self.key("indexes")))

    def catalog(self) -> str:
        """The version of the catalog."""
        return self.run(versions.declare()).version

    def mail(self, mailbox: str) -> list[str]:
        return [job_id.decode() for job_id in self.command("LRANGE", self.keys.mail(mailbox), 0, -1)]

    def wakes(self) -> int:
        return int(self.command("LLEN", self.keys.wake))

    def settings(self, **settings: int) -> None:
        for name, value in settings.items():
            self.command("HSET", self.key("settings"), name, value)

    def break_key(self, name: str) -> None:
        """Put a key of a type there that nobody writes."""
        self.command("DEL", self.key(name))
        if name.split(":", 1)[0] in BROKEN_BY_SET:
            self.command("SET", self.key(name), "damaged")
        else:
            self.command("HSET", self.key(name), "damaged", "1")

    def refuses(self, transition: Transition[Any]) -> None:
        """The call fails with WRONGTYPE, and the data set is what it was."""
        before = self.dump()
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            self.run(transition)
        assert self.dump() == before

    def changes_nothing(self, transition: Transition[T]) -> T:
        """Run a call that must not write."""
        before = self.dump()
        reply = self.run(transition)
        assert self.dump() == before
        return reply


def entry(sort_key: bytes, created: int, document_id: str) -> bytes:
    """An entry of an index."""
    return sort_key + b"%016d" % created + document_id.encode() + b"%03d" % len(document_id)


def _fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedServer(tmp_path_factory.mktemp("transitions"), persistent=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def client(server_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server_url, protocol=2) as client:
        client.ping()  # connected from the start: the connection is this fixture's
        yield client


def make_world(client: redis.Redis) -> World:
    return World(BlockingStore(Keys(f"t{secrets.token_hex(6)}"), client))


def close_world(world: World) -> None:
    """Nothing outside the app's prefix was written, and nothing outlives the test."""
    keys = world.command("KEYS", "*")
    strangers = [key for key in keys if not key.startswith(world.keys.prefix.encode())]
    if keys:
        world.command("DEL", *keys)
    assert strangers == []


@pytest.fixture
def real_world(client: redis.Redis) -> Iterator[World]:
    """On a real server only, for what fakeredis cannot do; the test says what."""
    world = make_world(client)
    yield world
    close_world(world)


@pytest.fixture(params=["server", "fake"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """On a real server, and again on fakeredis."""
    if request.param == "server":
        world = make_world(request.getfixturevalue("client"))
    else:
        world = make_world(fakeredis.FakeRedis(protocol=2))
    yield world
    close_world(world)
