"""A healthy deployment on a server of its own, with real time; what is wrong with it is what a test has done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from scheduler import App, EmbeddedServer, MutationContext, transitions
from scheduler.doctor.doctor import Doctor
from scheduler.doctor.findings import Finding
from scheduler.role import Role
from scheduler.store import BlockingStore
from tests.acl import as_user
from tests.transitions.conftest import NAME, WORKER, World, close_world, make_world

QUEUES = ("q", "r")


@pytest.fixture(scope="session")
def sick_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an append-only file."""
    with EmbeddedServer(tmp_path_factory.mktemp("doctor")) as server:
        yield server.url


@pytest.fixture
def world(sick_url: str) -> Iterator[World]:
    """An app with a live worker, a promoter and nothing to do."""
    with redis.Redis.from_url(sick_url, protocol=2) as client:
        world = make_world(client)
        world.now = now_of(world.store)
        join(world)
        world.run(transitions.promote("p", 600_000, 10))
        yield world
        close_world(world)


def now_of(store: BlockingStore) -> int:
    seconds, micros = store.execute("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def join(world: World, worker: str = WORKER, queues: tuple[str, ...] = QUEUES, **fields: int) -> None:
    """A worker arrives, with the function of all jobs here."""
    app = App("any")

    @app.mutation(name=NAME)
    async def order(ctx: MutationContext) -> None: ...

    about: dict[str, str | bytes | int] = {
        "host": "box",
        "pid": 7,
        "queues": ",".join(queues),
        "concurrency": 4,
        "lease_ms": 10_000,
        **fields,
    }
    described = {NAME: json.dumps(order.describe())}
    world.run(transitions.join(worker, 600_000, about, {}, described, queues))


def doctor_of(store: BlockingStore, **options: Any) -> Doctor:
    """A doctor who may do what the operator of the store's server may."""
    return Doctor(as_user(store, Role.OPERATOR), **options)


def examine(store: BlockingStore, **options: Any) -> list[Finding]:
    return doctor_of(store, **options).examine()


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]
