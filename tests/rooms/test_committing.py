"""The committer, with an index that came meanwhile and a catalog that cannot be read (C3.1, C6.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from scheduler import App, Scheduler, transitions, versions
from scheduler.context import MutationContext
from scheduler.errors import InvalidOption
from scheduler.refusals import ServerError
from scheduler.role import Role
from scheduler.script_call import Transition, Word
from scheduler.store import AsyncStore
from scheduler.transitions import Commit, Delivery
from tests.conftest import StartWorker, StoreOf
from worker.committer import Committer
from worker.delivery import Held


class Answering:
    """Answers commits with words, as Redis would."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = list(words)

    async def run(self, transition: Transition[Any]) -> list[Word]:
        commits = int(transition.argv[3])
        answered, self.words = self.words[:commits], self.words[commits:]
        return answered


def commit(number: int) -> Commit:
    delivery = Delivery(f"job-{number}", "q", f"{number}-0", f"token-{number}", 1)
    return Commit(delivery, "m:f", "", 1, "success", b"", writes=[("add", f"t:{number}", b"")])


@pytest.mark.parametrize("error", [ServerError("WRONGTYPE"), InvalidOption("index: no field")])
async def test_what_was_committed_stays_so_when_the_catalog_cannot_be_read(error: Exception) -> None:
    """They were answered LOST, and one alone was marked failed."""

    async def refresh() -> None:
        raise error

    answers: dict[str, Word] = {}
    words = [Word.OK, Word.STALE, Word.OK]
    committer = Committer(
        Answering(words),  # type: ignore[arg-type]
        "w1",
        refresh,
        None,
        lambda held, word: answers.update({held.delivery.job_id: word}),
        max_deliveries=5,
    )
    for number in range(3):
        committer.commit(Held(commit(number).delivery, None), commit(number))
    await committer.drain()
    await asyncio.sleep(0)
    assert list(answers.values()) == words


class Refusing:
    """Refuses whatever is sent."""

    async def run(self, transition: Transition[Any]) -> list[Word]:
        raise OSError("the disk is full")


@pytest.mark.parametrize("answer", [Word.OK, Word.LOST])
async def test_whoever_does_not_take_its_answer_keeps_no_other_from_its_own(answer: Word) -> None:
    """After a refusal the others of the call, and what waited behind it, were never answered."""
    answered: list[str] = []

    async def refresh() -> None:
        """Nothing to learn."""

    def take(held: Held, word: Word) -> None:
        assert word is answer
        answered.append(held.delivery.job_id)
        if held.delivery.job_id in ("job-0", "job-200"):
            raise ValueError("a bug")

    persistence = Answering([Word.OK] * 300) if answer is Word.OK else Refusing()
    committer = Committer(persistence, "w1", refresh, None, take, max_deliveries=5)  # type: ignore[arg-type]
    for number in range(300):
        one = commit(number)._replace(writes=())
        committer.commit(Held(one.delivery, None), one)
    await committer.drain()
    assert answered == [f"job-{number}" for number in range(300)]


async def test_an_index_that_came_meanwhile_is_no_conflict(
    app: App, scheduler: Scheduler, start_worker: StartWorker, look: AsyncStore, store_of: StoreOf
) -> None:
    """`function list` told of conflicts where nobody had been in the way."""
    entered, go_on, starts = asyncio.Event(), asyncio.Event(), 0

    @app.mutation(name="m:write")
    async def write(ctx: MutationContext) -> int:
        nonlocal starts
        starts += 1
        await ctx.db.insert("numbers", {"n": 1}, key="one")
        entered.set()
        await go_on.wait()
        return starts

    await start_worker()
    job_id = await scheduler.run_after(0, write)
    await entered.wait()
    store = store_of(Role.OPERATOR)
    await store.run(versions.declare(["numbers:n"]))
    go_on.set()
    assert await scheduler.result(job_id, timeout=5) == 2
    assert await look.command("ZCARD", f"{look.keys.prefix}index:numbers:n") == 1
    (tally,) = await store.run(transitions.tally(["m:write"]))
    assert tally == {"success": 1}
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.attempts == 2
