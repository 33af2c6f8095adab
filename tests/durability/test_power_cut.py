"""Redis dies in the midst of work: of what it knew only the beginning is left, and that is a consistent story (C7.1).

A power cut leaves at least what was answered under `always`, all but the last second under `everysec`. It may go
through a command, or through what one script wrote. Workers and clients live on, and know more than the server.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from scheduler import Job, JobState, Scheduler, Unavailable
from tests.acl import administer
from tests.conftest import running, until
from tests.durability.conftest import MakeMachine, Shop, Work, state
from tests.durability.machine import Machine
from worker.settings import WorkerSettings

SEED = int(os.environ.get("SEED") or int.from_bytes(os.urandom(4), "big"))
CUTS = 4
FSYNC_S = 1.0


class Disk:
    """What of the append-only file is sure to be on the disk.

    Attributes:
        answered: Bytes of it when something was answered last.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._random = random.Random(SEED)
        self._seen: list[tuple[float, int]] = []
        self.answered = 0

    def note(self, _job_id: str = "") -> None:
        """Something was answered."""
        self.answered = self._machine.written()
        self._seen.append((time.monotonic(), self.answered))

    def after_always(self) -> int:
        """A length that a power cut may leave under `always`."""
        return self._random.randint(self.answered, self._machine.written())

    def after_everysec(self) -> int:
        """A length that it may leave under `everysec`. What is left is on the disk for good."""
        synced = [size for moment, size in self._seen if moment < time.monotonic() - FSYNC_S]
        return self._random.randint(max(synced, default=0), self._machine.written())

    def begin_anew(self) -> None:
        """The server is back, and has written its file anew: all of that is on the disk."""
        self.answered = self._machine.written()
        self._seen = [(0.0, self.answered)]


async def lose_power(machine: Machine, kept: Callable[[], int], disk: Disk | None = None) -> None:
    """Cut the power; what had been answered is read to its end before `kept` is asked how much is left."""
    await asyncio.to_thread(machine.kill)
    for _ in range(1_000):
        await asyncio.sleep(0)  # turns of the loop, no time: all connections have ended, some have an answer before
    os.truncate(machine.journal(), kept())
    await asyncio.to_thread(machine.recover)
    if disk is not None:
        disk.begin_anew()


async def schedule(client: Scheduler, shop: Shop, number: int) -> list[str]:
    """Ten jobs, or none: a call without an answer is not counted on."""
    calls = [*(shop.order.after(0, number + i) for i in range(5)), *(shop.send.after(10) for _ in range(5))]
    try:
        return list(await client.schedule_many(calls))
    except Unavailable:
        return []


async def records(client: Scheduler, **wanted: object) -> AsyncIterator[Job]:
    cursor: str | None = ""
    while cursor is not None:
        page = await client.list(limit=1_000, cursor=cursor or None, **wanted)  # type: ignore[arg-type]
        for job in page.jobs:
            yield job
        cursor = page.cursor


async def known(client: Scheduler, job_id: str) -> JobState | None:
    """Its state, however long the server is away."""
    found: list[JobState | None] = []

    async def asked() -> bool:
        try:
            found.append(await state(client, job_id))
        except Unavailable:
            return False
        return True

    await until(asked, 20)
    return found[-1]


async def check_mutations(client: Scheduler, shop: Shop) -> int:
    """Against the state that survived each happened exactly once, with its child (C3.1, C7.1). Returns how many."""

    async def idle() -> bool:
        try:
            return await client.count(state="pending") + await client.count(state="inProgress") == 0
        except Unavailable:
            return False

    await until(idle, 60)
    orders = [job async for job in records(client, function=shop.order)]
    assert {job.state for job in orders} <= {JobState.SUCCESS}
    assert (await client.db.get("counters:orders") or {"n": 0})["n"] == len(orders)
    ids = sorted(job.id for job in orders)
    assert sorted([str(mark["job"]) async for mark in client.db.query("marks")]) == ids
    children = [job.parent_id async for job in records(client, function=shop.send) if job.parent_id]
    assert sorted(map(str, children)) == ids
    return len(orders)


async def test_under_always_nothing_that_was_answered_is_lost(
    make_machine: MakeMachine, shop: Shop, work: Work
) -> None:
    # C2.10, C3.1, C3.5, C5.1, C7.1, C7.2
    machine = make_machine("always")
    disk, accepted = Disk(machine), list[str]()
    shop.at_start = disk.note
    await work(machine.url, durability="fsync")
    async with Scheduler(shop.app, url=machine.url) as client:
        for cut in range(1, CUTS + 1):
            before = len(shop.starts)
            for number in range(6):
                accepted += await schedule(client, shop, number)
                disk.note()
            await until(lambda before=before: len(shop.starts) > before + 10, 20)  # type: ignore[misc]
            ended = {job_id: found for job_id in accepted if (found := await state(client, job_id)) != JobState.PENDING}
            disk.note()
            await lose_power(machine, disk.after_always, disk)
            for job_id, was in ended.items():
                found = await known(client, job_id)
                assert found == was or (was == JobState.IN_PROGRESS and found is not None), f"SEED={SEED} cut {cut}"
        assert await check_mutations(client, shop) >= CUTS * 6 * 5 / 2, f"SEED={SEED}"
        for job_id in accepted:
            assert await state(client, job_id) in (JobState.SUCCESS, JobState.FAILED), f"SEED={SEED}"
        starts = Counter(shop.starts)
        assert set(starts.values()) == {1}, f"SEED={SEED}"
        async for job in records(client, function=shop.send):
            assert starts[job.id] == 1 or (starts[job.id] == 0 and job.state == JobState.FAILED), f"SEED={SEED}"


async def test_under_everysec_what_survives_is_one_consistent_story(
    make_machine: MakeMachine, shop: Shop, work: Work
) -> None:
    # C7.1: the effects of a mutation and its ack are both there or both gone, and then it runs again.
    machine = make_machine("everysec")
    disk = Disk(machine)
    shop.at_start = disk.note
    await work(machine.url)
    async with Scheduler(shop.app, url=machine.url) as client:
        for _ in range(CUTS):
            before = len(shop.starts)
            for number in range(6):
                await schedule(client, shop, number)
                disk.note()
            await until(lambda before=before: len(shop.starts) > before + 10, 20)  # type: ignore[misc]
            await lose_power(machine, disk.after_everysec, disk)
        await client.result(await until_scheduled(client, shop), timeout=20)
        assert await check_mutations(client, shop) >= 1, f"SEED={SEED}"


async def test_without_a_file_a_crash_takes_all_and_what_comes_after_it_holds(
    make_machine: MakeMachine, shop: Shop, work: Work
) -> None:
    # C7.1, C7.3: workers that hold deliveries of a world that is gone change nothing in the new one.
    machine = make_machine("")
    await work(machine.url)
    async with Scheduler(shop.app, url=machine.url) as client:
        for _ in range(CUTS):
            before = len(shop.starts)
            accepted = [job_id for number in range(6) for job_id in await schedule(client, shop, number)]
            await until(lambda before=before: len(shop.starts) > before + 10, 20)  # type: ignore[misc]
            await asyncio.to_thread(machine.crash)
            assert {await known(client, job_id) for job_id in accepted} == {None}
        await client.result(await until_scheduled(client, shop), timeout=20)
        assert await check_mutations(client, shop) == 1


async def until_scheduled(client: Scheduler, shop: Shop) -> str:
    """One order that a server which is back has accepted."""
    made: list[str] = []

    async def accepted() -> bool:
        try:
            made.append(await client.run_after(0, shop.order, 99))
        except Unavailable:
            return False
        return True

    await until(accepted, 20)
    return made[-1]


# What each setting can cost, one by one


@pytest.mark.parametrize("fsync", ["everysec", "always"])
async def test_a_crash_of_the_process_loses_nothing_that_was_written(
    make_machine: MakeMachine, shop: Shop, work: Work, fsync: str
) -> None:
    # C7.1: the file is the machine's, and the machine lives.
    machine = make_machine(fsync)
    async with Scheduler(shop.app, url=machine.url) as client:
        waiting = await client.run_after(3_600_000, shop.order, 1)
        await work(machine.url)
        done = [await client.run_after(0, shop.send), await client.run_after(0, shop.order, 2)]
        for job_id in done:
            await client.result(job_id, timeout=10)
        await asyncio.to_thread(machine.crash)
        assert await known(client, waiting) == JobState.PENDING
        assert [await known(client, job_id) for job_id in done] == [JobState.SUCCESS] * 2


async def test_under_everysec_an_action_can_run_twice(make_machine: MakeMachine, shop: Shop, work: Work) -> None:
    # C7.2: with "memory", its ack was in the second that was lost.
    machine = make_machine("everysec")
    async with Scheduler(shop.app, url=machine.url) as client:
        job_id = await client.run_after(0, shop.send)
        kept = machine.written()
        await work(machine.url)
        await client.result(job_id, timeout=10)
        await lose_power(machine, lambda: kept)
        await until(lambda: shop.starts == [job_id, job_id], 20)


async def test_under_everysec_an_accepted_call_can_be_lost(make_machine: MakeMachine, shop: Shop) -> None:
    # C2.10: its repetition makes the one job.
    machine = make_machine("everysec")
    async with Scheduler(shop.app, url=machine.url) as client:
        await client.run_after(3_600_000, shop.order, 1)
        kept = machine.written()
        once = client.options(idempotency_key="once")
        job_id = await once.run_after(3_600_000, shop.order, 2)
        await lose_power(machine, lambda: kept)
        assert await known(client, job_id) is None
        again = await once.run_after(3_600_000, shop.order, 2)
        assert await once.run_after(3_600_000, shop.order, 2) == again
        assert await client.count(state="pending") == 2


async def test_under_everysec_a_mutation_runs_again_and_its_result_comes_again(
    make_machine: MakeMachine, shop: Shop, work: Work
) -> None:
    # C7.1
    machine = make_machine("everysec")
    async with Scheduler(shop.app, url=machine.url) as client:
        job_id = await client.run_after(0, shop.order, 5)
        kept = machine.written()
        await work(machine.url)
        assert await client.result(job_id, timeout=10) == 5
        await lose_power(machine, lambda: kept)
        assert await known(client, job_id) in (JobState.PENDING, JobState.SUCCESS)
        await until(lambda: is_success(client, job_id), 20)
        assert await client.result(job_id, timeout=10) == 5
        assert await check_mutations(client, shop) == 1


async def is_success(client: Scheduler, job_id: str) -> bool:
    return await known(client, job_id) == JobState.SUCCESS


async def test_a_snapshot_is_what_a_crash_leaves_of_a_server_without_a_file(
    make_machine: MakeMachine, shop: Shop, work: Work
) -> None:
    # C7.1
    machine = make_machine("")
    async with Scheduler(shop.app, url=machine.url) as client:
        kept = await client.run_after(0, shop.order, 1)
        administer(machine.url, "SAVE")
        lost = await client.run_after(0, shop.order, 2)
        await work(machine.url)
        for job_id in (kept, lost):
            await client.result(job_id, timeout=10)
        await asyncio.to_thread(machine.crash)
        assert await known(client, lost) is None
        await until(lambda: is_success(client, kept), 20)
        assert await check_mutations(client, shop) == 1


async def effects_of(client: Scheduler, shop: Shop, job_id: str) -> list[bool]:
    """Which of the effects of an order are there."""
    return [
        await state(client, job_id) == JobState.SUCCESS,
        await client.db.get("counters:orders") is not None,
        await client.db.get(f"marks:{job_id}") is not None,
        await client.count(function=shop.send) == 1,
    ]


async def commit_and_die(machine: Machine, shop: Shop) -> tuple[str, int]:
    """An order is placed and done, and the server is gone; returns it, and how much was written before it began."""
    async with Scheduler(shop.app, url=machine.url) as client:
        job_id = await client.run_after(0, shop.order, 1)
        before = machine.written()
        async with running(shop.app, machine.url, WorkerSettings()):
            await client.result(job_id, timeout=10)
    await asyncio.to_thread(machine.kill)
    return job_id, before


async def test_a_cut_through_a_script_leaves_all_of_it_or_nothing(make_machine: MakeMachine, shop: Shop) -> None:
    # C6.3, C7.1: a commit of a document, a mark, a child, a result and an ack.
    machine = make_machine("always")
    job_id, before = await commit_and_die(machine, shop)
    whole = machine.journal().read_bytes()
    found = []
    for kept in [*range(before, len(whole), max(1, (len(whole) - before) // 12)), len(whole)]:
        machine.journal().write_bytes(whole[:kept])
        await asyncio.to_thread(machine.start)
        async with Scheduler(shop.app, url=machine.url) as client:
            effects = await effects_of(client, shop, job_id)
        assert len(set(effects)) == 1, f"cut after {kept} bytes"
        found.append(effects[0])
        await asyncio.to_thread(machine.kill)
    assert (found[0], found[-1]) == (False, True)
    await asyncio.to_thread(machine.start)


async def test_what_was_torn_is_not_read_a_second_time(make_machine: MakeMachine, shop: Shop) -> None:
    # C7.1: Redis 7.0 and 8.2 leave the beginning of a torn step in the file, so it is written anew.
    machine = make_machine("always")
    job_id, before = await commit_and_die(machine, shop)
    commit = machine.journal().read_bytes().index(b"doc:marks:", before)
    os.truncate(machine.journal(), commit)
    await asyncio.to_thread(machine.recover)
    async with Scheduler(shop.app, url=machine.url) as client:
        await client.run_after(3_600_000, shop.order, 2)
    await asyncio.to_thread(machine.crash)
    async with Scheduler(shop.app, url=machine.url) as client:
        assert set(await effects_of(client, shop, job_id)) == {False}
