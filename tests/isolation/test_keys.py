"""Signed and encrypted jobs: the processes have the keys that the worker has, and what is kept of a death is secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from scheduler import App, Scheduler
from tests.conftest import running
from tests.isolation.test_running import WAIT_S, error_of, run
from worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUESTREAM_SIGNING_KEY", "s" * 32)
    monkeypatch.setenv("DUESTREAM_ENCRYPTION_KEY", "e" * 32)


async def test_a_keyring(app: App, scheduler: Scheduler, url: str, namespace: str, tmp_path: Path) -> None:
    async with running(app, url, WorkerSettings(max_deliveries=1, grace_s=2.0)):
        found = await run(scheduler, "call_all", str(tmp_path))
        await scheduler.result(found["scheduled"], timeout=WAIT_S)  # signed by the process, or it would be refused
        kept, _, _ = await run(scheduler, "schedule", str(tmp_path))
        await scheduler.result(kept, timeout=WAIT_S)
        error = await error_of(scheduler, "die", str(tmp_path), "segfault")
        assert error.message == "shop:die: its own process was ended by SIGSEGV"
        with redis.Redis.from_url(url) as client:
            stored = [client.hget(key, "error") for key in client.scan_iter(f"{{{namespace}}}:status:*")]
        assert any(stored)
        assert not any(b"SIGSEGV" in data for data in stored if data)
