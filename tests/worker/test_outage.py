"""Redis restarted, paused, cut off, its scripts and groups gone: no worker exits, nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from scheduler import App, EmbeddedServer, JobState, SyncScheduler, Unavailable
from scheduler.keys import GROUP
from tests.acl import administer
from tests.worker.conftest import Start
from tests.worker.processes import wait_until

JOBS = 300


def schedule_deposits(scheduler: SyncScheduler, folder: Path, count: int = JOBS) -> None:
    deposit = scheduler.app.functions["faulty:deposit"]
    scheduler.schedule_many(deposit.after(n, str(folder), f"a{n % 7}", 1) for n in range(count))


def check_all_done(scheduler: SyncScheduler, count: int = JOBS) -> None:
    """Each deposit once, each child once, nothing left over."""

    def idle() -> bool:
        try:
            return scheduler.count(state="pending") + scheduler.count(state="inProgress") == 0
        except Unavailable:
            return False

    wait_until(idle, 40, "the end of all work")
    assert [job.error for job in scheduler.list(state="failed").jobs] == []
    assert scheduler.count(state="success", function="faulty:deposit") == count
    assert scheduler.count(state="success", function="faulty:note") == count
    total = sum(scheduler.result(scheduler.run_after(0, "faulty:read_balance", f"a{n}"), timeout=10) for n in range(7))
    assert total == count


def test_a_server_killed_and_restarted_goes_on_where_it_was(app: App, start_worker: Start, tmp_path: Path) -> None:
    # C7.1, C7.3
    with EmbeddedServer(tmp_path / "data", config={"appendfsync": "always"}) as server:
        worker = start_worker(url=server.url)
        with SyncScheduler(app, url=server.url) as scheduler:
            schedule_deposits(scheduler, tmp_path)
            wait_until(lambda: scheduler.count(state="success") > JOBS // 4)
            os.kill(server.pid, signal.SIGKILL)
            wait_until(lambda: worker.logged("redis is away") > 0)
            with EmbeddedServer(tmp_path / "data", config={"appendfsync": "always"}) as again:
                assert again.url == server.url
                check_all_done(scheduler)
                assert worker.process.poll() is None
                assert worker.logged("redis is away") == worker.logged("redis is back") == 1


def test_a_server_that_hangs_is_waited_for(app: App, start_worker: Start, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "data", persistent=False) as server:
        worker = start_worker(url=server.url)
        with SyncScheduler(app, url=server.url) as scheduler:
            schedule_deposits(scheduler, tmp_path)
            wait_until(lambda: scheduler.count(state="success") > JOBS // 4)
            os.kill(server.pid, signal.SIGSTOP)
            paused = time.monotonic()
            wait_until(lambda: time.monotonic() - paused > 3, what="three seconds of silence")
            os.kill(server.pid, signal.SIGCONT)
            check_all_done(scheduler)
            assert worker.process.poll() is None


def test_connections_cut_again_and_again_lose_nothing(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path, server_url: str
) -> None:
    # C2.10, C3.1: an answer lost on the way is asked for again, byte for byte.
    start_worker()
    start_worker()
    schedule_deposits(scheduler, tmp_path)
    for cut in range(20):
        wait_until(lambda cut=cut: scheduler.count(state="success") >= cut * JOBS // 20)  # type: ignore[misc]
        administer(server_url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    check_all_done(scheduler)


@pytest.mark.parametrize("fault", [("SCRIPT", "FLUSH"), ("XGROUP", "DESTROY"), ("XGROUP", "DELCONSUMER")], ids=" ".join)
def test_what_operators_delete_is_made_again(
    fault: tuple[str, str], scheduler: SyncScheduler, start_worker: Start, tmp_path: Path, server_url: str
) -> None:
    worker = start_worker(lease_ms=1_000)
    store = scheduler._store
    schedule_deposits(scheduler, tmp_path)
    ready = store.keys.ready("default")
    if fault == ("SCRIPT", "FLUSH"):
        administer(server_url, *fault)
    elif fault == ("XGROUP", "DESTROY"):
        administer(server_url, *fault, ready, GROUP)
    else:
        # An idle consumer: one with pending entries would take them with it, which no queue on streams can undo.
        check_all_done(scheduler)
        (name,) = administer(server_url, "ZRANGE", store.keys.workers, 0, -1)
        administer(server_url, *fault, ready, GROUP, name)
        schedule_deposits(scheduler, tmp_path, 5)
        check_all_done(scheduler, JOBS + 5)
        return
    check_all_done(scheduler)
    assert worker.process.poll() is None


def test_a_killed_worker_under_load_leaves_the_books_straight(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.1, with conflicts: all deposits go to seven accounts.
    first = start_worker()
    start_worker()
    schedule_deposits(scheduler, tmp_path, 1_000)
    wait_until(lambda: scheduler.count(state="success") > 300)
    first.kill()
    start_worker()
    check_notes_at_most_once(scheduler, tmp_path)


def check_notes_at_most_once(scheduler: SyncScheduler, folder: Path) -> None:
    wait_until(lambda: scheduler.count(state="pending") + scheduler.count(state="inProgress") == 0, 40)
    deposits = scheduler.count(state="success", function="faulty:deposit")
    notes = scheduler.count(function="faulty:note")
    assert (deposits, notes) == (1_000, 1_000)
    lost = scheduler.count(state=JobState.FAILED, function="faulty:note")
    starts = len((folder / "note").read_text().split())
    assert scheduler.count(state="success", function="faulty:note") == 1_000 - lost <= starts <= 1_000
    total = sum(scheduler.result(scheduler.run_after(0, "faulty:read_balance", f"a{n}"), timeout=10) for n in range(7))
    assert total == 1_000
