"""Handlers in processes of their own: all that a context can do, done there."""

from __future__ import annotations

import os

from scheduler import Scheduler
from tests.conftest import StartWorker


async def test_it_runs_in_a_process_of_its_own_which_is_used_again(
    scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.1
    await start_worker()
    pids = [await scheduler.result(await scheduler.run_after(0, "shop:where"), timeout=20) for _ in range(3)]
    pid, parent, group, _ = pids[0]
    assert pid not in (os.getpid(), 0)
    assert (parent, group) == (os.getpid(), pid)
    assert pids[1:] == pids[:1] * 2
