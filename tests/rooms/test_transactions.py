"""Transactions of handlers in a running worker: each test tells a story of a defect that they once had."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal

import pytest

from scheduler import (
    ActionContext,
    App,
    BlockingMutationContext,
    MutationContext,
    QueryContext,
    Scheduler,
)
from tests.conftest import StartWorker, until


async def test_a_job_that_keeps_no_record_can_be_looked_at_when_it_has_ended(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """Its state was still there, its record was not; the mutation took that for a conflict and started again, for as long
    as the tombstone was kept."""
    # C3.3, C5.3, C6.2

    @app.mutation(keep_s=0)
    async def brief(ctx: MutationContext) -> None: ...

    @app.mutation
    async def is_gone(ctx: MutationContext, job_id: str) -> bool:
        return await ctx.db.system.get(job_id) is None

    await start_worker()
    job_id = await scheduler.run_after(0, brief)

    async def has_ended() -> bool:
        return await scheduler.get(job_id) is None

    await until(has_ended)
    assert await scheduler.result(await scheduler.run_after(0, is_gone, job_id), timeout=5) is True
