"""The janitor on a real server: what becomes of a worker that is paused, with its connections open."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from scheduler import App, MutationContext, Scheduler, transitions
from scheduler.backoff import Outage
from scheduler.clients import reader_client
from scheduler.janitor import Janitor
from scheduler.keys import GROUP, Keys
from scheduler.refusals import CONNECTION_LOST
from scheduler.role import Role
from scheduler.store import AsyncStore
from tests.conftest import StoreOf, until

LEASE_MS, PAUSED = 2_000, "paused"


@pytest.mark.parametrize("silent_ms", [1_450, 1_600], ids=["about to be lost", "lost"])
async def test_a_paused_worker_is_not_handed_what_it_has_lost(
    app: App, scheduler: Scheduler, url: str, silent_ms: int, look: AsyncStore, store_of: StoreOf
) -> None:
    """Its blocking read was closed by the time of the last look at the clock, which can be two seconds old, so the
    delivery that was taken from it went to it again, and the job had to wait for a second lease."""
    # C3.3

    @app.mutation(name="m:work")
    async def work(ctx: MutationContext) -> None:
        return None

    store, stream = store_of(Role.WORKER), Keys(app.namespace).ready("default")
    ids: list[int] = []
    reader = AsyncStore(store.keys, reader_client(url, ids.append), block_s=10)

    async def read() -> Any:
        return await reader.execute(
            "XREADGROUP", "GROUP", GROUP, PAUSED, "COUNT", 1, "BLOCK", 10_000, "STREAMS", stream, ">"
        )

    outage = Outage()
    outage.contact_since = float("-inf")
    janitor = Janitor(store, lease_ms=LEASE_MS, max_deliveries=5, leads=lambda: True, outage=outage)
    asked = time.monotonic()
    now_ms = await store.run(transitions.join(PAUSED, 60_000, {"lease_ms": LEASE_MS}, {}, {}, ["default"]))
    janitor.observe(now_ms, asked)
    job_id = await scheduler.options(allow_unknown=True).run_after(0, work)
    ((_, [(entry, _)]),) = await read()
    blocked = asyncio.create_task(read())
    await until(lambda: time.monotonic() > asked + 0.4)
    now_ms += int((time.monotonic() - asked) * 1000)
    worker = store.keys.worker(PAUSED)
    await look.command("HSET", worker, "reader", ids[0])
    await look.command("ZADD", store.keys.workers, now_ms - silent_ms, PAUSED)
    await look.command("XCLAIM", stream, GROUP, PAUSED, 0, entry, "IDLE", LEASE_MS * 3 // 4, "JUSTID")

    assert (await janitor.step()).redelivered == 1
    with pytest.raises(CONNECTION_LOST):
        await blocked
    assert (await look.command("XPENDING", stream, GROUP))[0] == 0
    assert await look.command("XLEN", stream) == 1
    job = await scheduler.get(job_id)
    assert job is not None
    assert [death.worker for death in job.deaths] == [PAUSED]
    await reader.close()
