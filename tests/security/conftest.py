"""Apps with keys, and somebody who tampers with their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import redis

from scheduler import ActionContext, App, MutationContext
from tests.security.forger import Forger

OLD, NEW, OTHER = "o" * 32, b"n" * 32, "x" * 40


@dataclass
class Seen:
    """What the handlers have seen."""

    calls: list[tuple[str, int]] = field(default_factory=list)


def with_functions(app: App, seen: Seen | None = None) -> App:
    """An app with a mutation and an action."""
    calls = (seen or Seen()).calls

    @app.mutation(name="shop:order")
    async def order(ctx: MutationContext, number: int) -> int:
        calls.append(("order", number))
        return number

    @app.action(name="shop:mail")
    async def mail(ctx: ActionContext, number: int) -> int:
        calls.append(("mail", number))
        return number

    return app


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def forger(url: str, namespace: str) -> Iterator[Forger]:
    with redis.Redis.from_url(url, protocol=2) as client:
        yield Forger(client, namespace)
