"""Steady mixed load from one client, at a given rate, and looks at what it made."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence

from scheduler import Call, JobCanceled, JobFailed, JobNotFound, Scheduler
from tests.soak.app import carry, deposit, linger, pass_through, refuse


async def drive(scheduler: Scheduler, per_second: int, until: float, counts: Counter[str], seed: int) -> None:
    """Schedule `per_second` jobs, in groups, until the monotonic time `until`."""
    draw = random.Random(seed)
    looks: set[asyncio.Task[None]] = set()
    started = time.monotonic()
    for group in itertools.count():
        due = started + group / 4
        if due >= until:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        ids = await scheduler.schedule_many(_call(draw) for _ in range(per_second // 4))
        counts["scheduled"] += len(ids)
        look = asyncio.create_task(_look(scheduler, ids, counts))
        looks.add(look)
        look.add_done_callback(looks.discard)
    await asyncio.gather(*looks)


def _call(draw: random.Random) -> Call:
    delay = draw.choice((0, 0, 0, 50, 1_000, 3_000))
    match draw.randrange(10):
        case 0 | 1 | 2:
            return deposit.after(delay, draw.randrange(200), draw.randrange(100))
        case 3 | 4:
            return pass_through.after(delay, draw.randrange(5_000))
        case 5 | 6:
            return carry.after(delay, draw.randbytes(draw.choice((10, 1_000, 20_000))))
        case 7:
            return refuse.after(delay, "as asked").using(idempotency_key=f"k{draw.randrange(50)}")
        case 8:
            return linger.after(delay, draw.choice((0.0, 0.01, 0.2)))
        case _:
            return deposit.after(delay, 0, 1)


async def _look(scheduler: Scheduler, ids: Sequence[str], counts: Counter[str]) -> None:
    """Cancel one, wait for one, list some: as clients do."""
    counts[f"cancel {await scheduler.cancel(ids[0])}"] += 1
    try:
        await scheduler.result(ids[1], timeout=30)
    except (JobFailed, JobCanceled, JobNotFound) as error:
        counts[type(error).__name__] += 1
    else:
        counts["results"] += 1
    await scheduler.list(limit=20)
    await scheduler.count(state="pending")
