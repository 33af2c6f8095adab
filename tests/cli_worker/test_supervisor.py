"""`duestream worker -w N`: children are kept alive, stopped together, and never left behind."""

from __future__ import annotations

import os
import signal

import pytest

from scheduler import EmbeddedServer, SyncScheduler
from tests.cli_worker.conftest import Start
from tests.cli_worker.processes import Running, is_alive, until
from worker.child import describe_end

TARGET = "jobs:app"
CHILD = r"started process=\d+ pid=(\d+)"


def two(start: Start, server: EmbeddedServer, *more: str) -> tuple[Running, list[int]]:
    """A parent whose two children work."""
    parent = start("worker", TARGET, "-w", "2", *more, url=server.url)
    parent.until_said("started worker=", times=2)
    return parent, [int(pid) for pid in parent.until_said(CHILD, times=2)]


def test_a_killed_child_is_started_again(start: Start, server: EmbeddedServer, scheduler: SyncScheduler) -> None:
    parent, (first, second) = two(start, server)
    os.kill(first, signal.SIGKILL)
    third = int(parent.until_said(CHILD, times=3)[2])
    parent.until_said("started worker=", times=3)
    assert f"pid={first} was ended by SIGKILL, and is started again" in parent.said()
    assert is_alive(second)
    assert is_alive(third)
    assert scheduler.result(scheduler.run_after(0, "jobs:note", text="x"), timeout=15) == "x"


def test_the_first_term_is_gentle_to_all(start: Start, server: EmbeddedServer) -> None:
    parent, children = two(start, server)
    parent.tell()
    assert parent.code() == 0
    assert len(parent.until_said("stopped worker=", times=2)) == 2
    assert not any(is_alive(pid) for pid in children)


def test_the_second_term_is_hard_to_all(start: Start, server: EmbeddedServer, scheduler: SyncScheduler) -> None:
    parent, children = two(start, server)
    scheduler.run_after(0, "jobs:slow", seconds=30)
    until("the action runs", lambda: scheduler.count(state="inProgress"))
    parent.tell()
    until("the idle child has ended", lambda: "stopped worker=" in parent.said())
    parent.tell()
    assert parent.code(5) == 1
    assert not any(is_alive(pid) for pid in children)


def test_ctrl_c_reaches_the_children_once(start: Start, server: EmbeddedServer, scheduler: SyncScheduler) -> None:
    parent, _ = two(start, server)
    job_id = scheduler.run_after(0, "jobs:slow", seconds=1)
    until("the action runs", lambda: scheduler.count(state="inProgress"))
    os.killpg(parent.process.pid, signal.SIGINT)  # what a terminal does
    assert parent.code() == 0
    assert scheduler.result(job_id, timeout=1) == "slept"


def test_children_end_when_the_parent_is_killed(start: Start, server: EmbeddedServer) -> None:
    parent, children = two(start, server)
    parent.tell(signal.SIGKILL)
    until("both children have ended", lambda: not any(is_alive(pid) for pid in children))
    assert len(parent.until_said("stopped worker=", times=2)) == 2


def test_a_burst_ends_when_all_have_ended(start: Start, server: EmbeddedServer, scheduler: SyncScheduler) -> None:
    client = scheduler.options(allow_unknown=True)
    for n in range(20):
        client.run_after(0, "jobs:note", text=f"n{n}")
    assert start("worker", TARGET, "-w", "2", "--burst", url=server.url).code() == 0
    assert scheduler.count(state="success") == 20


def test_a_child_that_dies_in_a_burst_is_told_by_the_exit_code(
    start: Start, server: EmbeddedServer, scheduler: SyncScheduler
) -> None:
    scheduler.options(allow_unknown=True).run_after(0, "jobs:slow", seconds=2)
    parent, (first, second) = _burst(start, server, scheduler)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGKILL)
    assert parent.code() == 1


def _burst(start: Start, server: EmbeddedServer, scheduler: SyncScheduler) -> tuple[Running, tuple[int, int]]:
    parent = start("worker", TARGET, "-w", "2", "--burst", url=server.url)
    first, second = (int(pid) for pid in parent.until_said(CHILD, times=2))
    until("the action runs", lambda: scheduler.count(state="inProgress"))
    return parent, (first, second)


@pytest.mark.parametrize(
    ("code", "said"), [(0, "ended with exit code 0"), (-9, "was ended by SIGKILL"), (-999, "ended with exit code -999")]
)
def test_an_end_is_told_in_words(code: int, said: str) -> None:
    assert describe_end(code) == said
