"""durability="replica": an action starts when its ack is on enough replicas, and else goes back (C7.2)."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest

from scheduler import ConfigurationError, JobState, Scheduler, SyncScheduler, Unavailable, transitions
from scheduler.clients import async_client
from scheduler.keys import GROUP, Keys
from scheduler.role import Role
from scheduler.script_call import Transition, Word
from scheduler.store import AsyncStore
from scheduler.transitions import Delivery
from tests.acl import as_role
from tests.conftest import until
from tests.durability.conftest import Shop, Work, state
from tests.durability.machine import Pair


async def test_too_few_replicas_at_the_start_are_refused(url: str, pair: Pair, work: Work) -> None:
    with pytest.raises(ConfigurationError, match=r"durability replica: .* 0 of 1 replicas have answered"):
        await work(url, durability="replica")
    with pytest.raises(ConfigurationError, match=r"durability replica: .* 1 of 2 replicas have answered"):
        await work(pair.url, durability="replica", replicas=2)


async def test_what_the_app_says_counts_where_the_worker_says_nothing(url: str, shop: Shop, work: Work) -> None:
    shop.app.durability, shop.app.replicas = shop.app.durability.REPLICA, 3
    with pytest.raises(ConfigurationError, match=r"0 of 3 replicas"):
        await work(url)
    await work(url, durability="memory")


async def test_the_replica_has_the_ack_before_the_first_line(pair: Pair, shop: Shop, work: Work) -> None:
    # C7.2
    found: list[bytes | None] = []
    keys = Keys(shop.app.namespace)
    shop.at_start = lambda job_id: found.append(pair.on_replica.hget(keys.status(job_id), "state"))  # type: ignore[arg-type]
    await work(pair.url, durability="replica", lease_ms=10_000)
    async with Scheduler(shop.app, url=pair.url) as client:
        ids = await client.schedule_many(shop.send.after(0) for _ in range(50))
        for job_id in ids:
            assert await client.result(job_id, timeout=20) == "sent"
    assert sorted(shop.starts) == sorted(ids)
    assert found == [b"inProgress"] * 50


async def test_while_the_replica_is_paused_actions_wait_and_mutations_run(pair: Pair, shop: Shop, work: Work) -> None:
    # C7.2: given back unstarted, run when it is back.
    await work(pair.url, durability="replica")
    async with Scheduler(shop.app, url=pair.url) as client:
        pair.signal(signal.SIGSTOP)
        job_id = await client.run_after(0, shop.send)
        assert await client.result(await client.run_after(0, shop.order, 7), timeout=10) == 7
        await until(lambda: pair.on_primary.hget(Keys(shop.app.namespace).status(job_id), "attempts") == b"0")
        assert await state(client, job_id) == JobState.PENDING
        assert shop.starts == []
        pair.signal(signal.SIGCONT)
        assert await client.result(job_id, timeout=20) == "sent"
        job = await client.get(job_id)
        assert job is not None
        assert (job.attempts, shop.starts.count(job_id)) == (1, 1)


async def due_when_parted(pair: Pair, shop: Shop, client: Scheduler) -> str:
    """An action of the old primary, and of the replica that is a primary already when it becomes due."""
    job_id = await client.run_after(1_000, shop.send)
    pair.wait_linked()
    pair.part()
    return job_id


async def test_an_action_that_a_lost_primary_has_begun_runs_once(pair: Pair, shop: Shop, work: Work) -> None:
    # C3.5, C7.2: not on the primary that is cut off, but on the promoted one.
    await work(pair.url, durability="replica")
    async with Scheduler(shop.app, url=pair.url) as client:
        job_id = await due_when_parted(pair, shop, client)
        status = Keys(shop.app.namespace).status(job_id)
        await until(lambda: pair.on_primary.hget(status, "attempts") == b"0")
        assert shop.starts == []
        await asyncio.to_thread(pair.fail_over)
        # The promoted one has no replica yet, so nothing runs there either.
        await until(lambda: pair.on_replica.hget(status, "attempts") == b"0", 20)
        assert shop.starts == []
    with pair.another():
        await until(lambda: shop.starts == [job_id], 20)


async def test_with_memory_it_runs_twice(pair: Pair, shop: Shop, work: Work) -> None:
    # C7.2: the loss that the docs tell of.
    await work(pair.url, durability="memory")
    async with Scheduler(shop.app, url=pair.url) as client:
        job_id = await due_when_parted(pair, shop, client)
        await until(lambda: shop.starts == [job_id])
        await asyncio.to_thread(pair.fail_over)
        await until(lambda: shop.starts == [job_id, job_id], 20)


async def test_a_failover_under_load_starts_no_action_twice(pair: Pair, shop: Shop, work: Work) -> None:
    # C3.1, C3.5, C7.2
    await work(pair.url, durability="replica")
    async with Scheduler(shop.app, url=pair.url) as client:
        ids = await client.schedule_many(
            call
            for number in range(150)
            for call in (shop.send.after(number * 5), shop.order.after(number * 5, number))
        )
        pair.wait_linked()
        await until(lambda: len(shop.starts) > 50)
        await asyncio.to_thread(pair.fail_over)
        with pair.another():
            for job_id in ids:
                await until(lambda job_id=job_id: ended(client, job_id), 40)  # type: ignore[misc]
            await until(lambda: idle(client), 20)
            assert max(Counter(shop.starts).values()) == 1
            orders = await client.count(state="success", function=shop.order)
            assert orders == 150
            assert (await client.db.get("counters:orders") or {})["n"] == orders
            assert await client.count(function=shop.send) == 300


async def ended(client: Scheduler, job_id: str) -> bool:
    try:
        return await state(client, job_id) in (JobState.SUCCESS, JobState.FAILED)
    except Unavailable:
        return False


async def idle(client: Scheduler) -> bool:
    return await client.count(state="pending") + await client.count(state="inProgress") == 0


async def claimed(pair: Pair, shop: Shop, client: Scheduler) -> Delivery:
    """An action in the hands of a worker that this test is."""
    keys = Keys(shop.app.namespace)
    pair.command("XGROUP", "CREATE", keys.ready("default"), GROUP, "0", "MKSTREAM")
    job_id = await client.run_after(0, shop.send)
    reply = pair.command("XREADGROUP", "GROUP", GROUP, "me", "STREAMS", keys.ready("default"), ">")
    ((_, ((entry, fields),)),) = reply.items() if isinstance(reply, dict) else reply
    return Delivery(str(job_id), "default", entry.decode(), fields[b"token"].decode(), 1)


async def run_then_wait(pair: Pair, shop: Shop, begin: Transition[list[Word]]) -> tuple[list[Word], Any]:
    """On a connection of its own, as after the loss of another."""
    async with async_client(as_role(pair.url, Role.WORKER)) as client:
        return await AsyncStore(Keys(shop.app.namespace), client).run_then(begin, ("WAIT", 1, 50))


async def test_an_ack_sent_again_on_another_connection_is_waited_for(pair: Pair, shop: Shop) -> None:
    # C7.2: on newer servers WAIT answers at once where its connection has written nothing.
    async with Scheduler(shop.app, url=pair.url) as client:
        begin = transitions.begin([await claimed(pair, shop, client)], "me", 1_000)
    pair.wait_linked()
    pair.signal(signal.SIGSTOP)
    assert await run_then_wait(pair, shop, begin) == ([Word.OK], 0)
    assert await run_then_wait(pair, shop, begin) == ([Word.ALREADY], 0)
    pair.signal(signal.SIGCONT)
    pair.wait_linked()
    assert await run_then_wait(pair, shop, begin) == ([Word.ALREADY], 1)


async def test_a_server_that_has_forgotten_the_script_is_waited_for(pair: Pair, shop: Shop) -> None:
    async with Scheduler(shop.app, url=pair.url) as client:
        begin = transitions.begin([await claimed(pair, shop, client)], "me", 1_000)
    pair.command("SCRIPT", "FLUSH")
    pair.wait_linked()
    pair.signal(signal.SIGSTOP)
    assert await run_then_wait(pair, shop, begin) == ([Word.OK], 0)


async def test_a_primary_that_became_a_replica_is_left_although_it_answers(pair: Pair, shop: Shop, work: Work) -> None:
    # C7.3: its name leads to the new primary, and the old connections do not.
    await work(pair.url)
    async with Scheduler(shop.app, url=pair.url) as client:
        with SyncScheduler(shop.app, url=pair.url) as blocking:
            await client.result(await client.run_after(0, shop.order, 1), timeout=10)
            blocking.run_after(0, shop.order, 2)
            pair.swap()
            await until(lambda: accepts(client, shop), 20)
            await until(lambda: asyncio.to_thread(accepts_blocking, blocking, shop), 20)
        await until(lambda: idle(client), 20)
        assert await client.count(state="success", function=shop.order) >= 4


async def accepts(client: Scheduler, shop: Shop) -> bool:
    try:
        await client.run_after(0, shop.order, 3)
    except Unavailable:
        return False
    return True


def accepts_blocking(client: SyncScheduler, shop: Shop) -> bool:
    try:
        client.run_after(0, shop.order, 4)
    except Unavailable:
        return False
    return True


async def test_what_has_not_reached_the_replica_is_lost_with_the_primary(pair: Pair, shop: Shop, work: Work) -> None:
    # C7.1: an accepted call, and a result that was returned; what survives is one consistent story.
    await work(pair.url)
    async with Scheduler(shop.app, url=pair.url) as client:
        kept = await client.run_after(1_000, shop.order, 1)
        pair.wait_linked()
        pair.part()
        lost = await client.run_after(0, shop.order, 2)
        assert await client.result(lost, timeout=10) == 2
        assert await client.result(kept, timeout=10) == 1
        await asyncio.to_thread(pair.fail_over)
        await until(lambda: ended(client, kept), 20)
        assert await client.result(kept, timeout=10) == 1
        assert await state(client, lost) is None
        assert await client.db.get("counters:orders") == {"n": 1}
