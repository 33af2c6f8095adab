"""What jobs cost in Redis, by the server's own account; `docs/decisions/0021-idle.md` has the whole sum."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from scheduler import App, JobState, MutationContext, Scheduler
from scheduler.clients import async_client
from scheduler.decorators import AsyncMutation
from scheduler.keys import Keys
from scheduler.store import AsyncStore
from tests.conftest import StartWorker, until

JOBS = 1_000
TEXT = "x" * 100
DAY_MS = 24 * 3600 * 1000
KEYS = Keys("shop")
UNSEEN_BYTES = 32
"""What MEMORY USAGE leaves out for a key and its place in a set: tables of pointers, and what allocators round up."""


@pytest.fixture
async def look(url: str) -> AsyncIterator[AsyncStore]:
    """A namespace of a length that namespaces have: a few bytes more of it can cost the next larger allocation."""
    store = AsyncStore(KEYS, async_client(url))
    yield store
    await store.command("FLUSHALL")
    await store.close()


@pytest.fixture
def app(url: str) -> App:
    return App(KEYS.namespace, url=url)


def register(app: App) -> AsyncMutation[[str], None]:
    @app.mutation(name="shop:place_order")
    async def place_order(ctx: MutationContext, text: str) -> None:
        assert len(text) == len(TEXT)

    return place_order


async def usage(look: AsyncStore, key: str) -> int:
    return cast("int", await look.command("MEMORY", "USAGE", key, "SAMPLES", 0))


async def names(look: AsyncStore, job_id: str) -> set[str]:
    """The job's own keys."""
    found = await look.command("KEYS", f"*{job_id}*")
    return {key.decode() for key in found}


async def test_a_pending_job_with_100_bytes_of_arguments(app: App, scheduler: Scheduler, look: AsyncStore) -> None:
    place_order = register(app)
    job_id, *_ = await scheduler.schedule_many(place_order.after(DAY_MS, TEXT) for _ in range(JOBS))
    assert await names(look, job_id) == {KEYS.job(job_id)}
    due = await usage(look, KEYS.due("default")) / JOBS
    assert await usage(look, KEYS.job(job_id)) + due + UNSEEN_BYTES <= 400


async def test_a_finished_record_and_a_drained_stream(
    app: App, scheduler: Scheduler, look: AsyncStore, start_worker: StartWorker
) -> None:
    place_order = register(app)
    await start_worker(app)
    job_id, *_ = await scheduler.schedule_many(place_order.after(0, TEXT) for _ in range(JOBS))

    async def all_done() -> bool:
        return await scheduler.count(state=JobState.SUCCESS) == JOBS

    await until(all_done, 60)
    assert await names(look, job_id) == {KEYS.job(job_id), KEYS.status(job_id)}
    listed = await usage(look, KEYS.done("success")) / JOBS
    own = await usage(look, KEYS.job(job_id)) + await usage(look, KEYS.status(job_id))
    assert own + listed + 2 * UNSEEN_BYTES <= 800
    assert await look.command("EXISTS", f"{KEYS.prefix}expiry") == 0
    # The group and its consumer; of a thousand entries nothing.
    assert await usage(look, KEYS.ready("default")) < 2_000
