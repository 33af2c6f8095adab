"""`isolate=True` with keys: arguments are opened before they go to the process, and what it schedules is signed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import redis

from scheduler import App, JobFailed, Scheduler
from scheduler.keyring import ENCRYPTION_KEY, SIGNING_KEY
from tests.conftest import StartWorker
from tests.security.conftest import NEW, OLD
from tests.security.forger import BODY, Forger

SECRET = "4929-1234-5678-9012"
MODULE = "tests.security.cell_shop"


@pytest.fixture
def app(namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app, as the worker and its cells import it."""
    monkeypatch.setenv("CELL_NAMESPACE", namespace)
    monkeypatch.setenv(SIGNING_KEY, OLD)
    monkeypatch.setenv(ENCRYPTION_KEY, NEW.decode())
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    app: App = import_module(MODULE).app
    yield app
    sys.modules.pop(MODULE, None)


async def test_cells_have_the_keys(scheduler: Scheduler, start_worker: StartWorker, url: str) -> None:
    await start_worker()
    pid, child = await scheduler.result(await scheduler.run_after(0, "shop:grow", SECRET), timeout=30)
    assert int(pid) != os.getpid()
    card, other = await scheduler.result(await scheduler.run_after(0, "shop:act", SECRET), timeout=30)
    assert card == SECRET
    for job_id in (child, other):
        assert await scheduler.result(job_id, timeout=30) == f"leaf of {SECRET}"
    with redis.Redis.from_url(url, protocol=2) as client:
        every: Any = [client.dump(key) for key in client.scan_iter(count=1000)]
    assert SECRET.encode() not in b"".join(every)


async def test_what_was_altered_comes_to_no_cell(
    scheduler: Scheduler, start_worker: StartWorker, forger: Forger
) -> None:
    job_id = await scheduler.run_after(0, "shop:leaf", "bad")
    forger.alter(job_id, lambda spec: spec.__setitem__(BODY, spec[BODY][:-1]))
    await start_worker()
    with pytest.raises(JobFailed, match="BadSignature"):
        await scheduler.result(job_id, timeout=30)
