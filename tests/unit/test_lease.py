"""The lease: what a renewal takes for lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scheduler.clock import RedisClock
from scheduler.transitions import Delivery, Renewed
from worker.delivery import Held
from worker.lease import Lease, Reports
from worker.settings import WorkerSettings


class Answers:
    """A store whose renewal finds no entry, after what happens meanwhile."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None

    def run(self, _: object) -> Renewed:
        self.meanwhile()
        return Renewed(1_800_000_000_000, [], [], {"q": set()})


def make_lease(store: Any, lost: Callable[[list[Held]], None]) -> Lease:
    reports = Reports(lost=lost, overdue=lambda _: None, renewed=lambda _: None)
    return Lease(store, WorkerSettings(keeper=False), RedisClock(), reports, lambda: 60.0)


@pytest.mark.parametrize(("goes_on", "is_lost"), [(False, True), (True, False)], ids=["held", "committed meanwhile"])
async def test_what_goes_on_without_its_handler_is_not_lost(goes_on: bool, is_lost: bool) -> None:
    """Its commit came between the question and the answer: the handler was cancelled a second time for it."""
    # C3.2
    store, lost = Answers(), list[Held]()
    lease = make_lease(store, lost.extend)
    held = Held(Delivery("JOB", "q", "1-0", "T", 1), None)
    lease.add([held])
    if goes_on:
        store.meanwhile = lambda: lease.swap(held, replace(held))
    lease.step()
    await asyncio.sleep(0)
    assert lost == ([held] if is_lost else [])
