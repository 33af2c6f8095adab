"""`ctx.db`: documents, read and written inside mutations."""

from __future__ import annotations

import pytest

from scheduler import ActionContext, App, InvalidDocument, JobFailed, JobId, Limits, MutationContext, Scheduler
from tests.conftest import StartWorker


async def test_documents_are_inserted_read_changed_and_deleted(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    @app.mutation
    async def life(ctx: MutationContext) -> list[object]:
        ada = await ctx.db.insert("people", {"name": "Ada", "born": 1815}, key="ada")
        seen: list[object] = [ada, await ctx.db.get(ada)]
        await ctx.db.patch(ada, {"born": 1816, "field": "mathematics"})
        seen.append(await ctx.db.get(ada))
        await ctx.db.replace(ada, {"name": "Ada Lovelace"})
        seen.append(await ctx.db.get(ada))
        await ctx.db.delete(ada)
        seen.append(await ctx.db.get(ada))
        return seen

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, life), timeout=5) == [
        "people:ada",
        {"name": "Ada", "born": 1815},
        {"name": "Ada", "born": 1816, "field": "mathematics"},
        {"name": "Ada Lovelace"},
        None,
    ]


async def test_each_step_is_seen_by_later_mutations(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1, C6.2
    @app.mutation
    async def step(ctx: MutationContext, verb: str) -> object:
        match verb:
            case "insert":
                await ctx.db.insert("people", {"name": "Ada", "n": 1}, key="ada")
            case "patch":
                await ctx.db.patch("people:ada", {"n": 2})
            case "replace":
                await ctx.db.replace("people:ada", {"n": 3})
            case "delete":
                await ctx.db.delete("people:ada")
        return await ctx.db.get("people:ada")

    await start_worker()
    verbs = ("insert", "look", "patch", "look", "replace", "look", "delete", "look", "insert")
    seen = [await scheduler.result(await scheduler.run_after(0, step, verb), timeout=5) for verb in verbs]
    ada = {"name": "Ada", "n": 1}
    assert seen == [ada, ada, ada | {"n": 2}, ada | {"n": 2}, {"n": 3}, {"n": 3}, None, None, ada]


async def test_a_key_is_made_where_none_is_given_in_order_of_creation(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    @app.mutation
    async def insert(ctx: MutationContext) -> list[str]:
        return [await ctx.db.insert("events", {"n": n}) for n in range(10)]

    await start_worker()
    ids = await scheduler.result(await scheduler.run_after(0, insert), timeout=5)
    assert ids == sorted(set(ids))
    assert len(ids) == 10
    assert all(one.startswith("events:") for one in ids)


async def test_what_was_read_is_a_copy(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1
    @app.mutation
    async def meddle(ctx: MutationContext) -> object:
        document: dict[str, object] = {"n": [1]}
        await ctx.db.insert("people", document, key="ada")
        document["n"] = 2
        found = await ctx.db.get("people:ada")
        assert found is not None
        found["n"].append(3)
        return await ctx.db.get("people:ada")

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, meddle), timeout=5) == {"n": [1]}


async def test_what_cannot_be_done_is_an_error_that_can_be_caught(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    @app.mutation
    async def wrong(ctx: MutationContext) -> int:
        db = ctx.db
        await db.insert("people", {}, key="ada")
        attempts = [
            (lambda: db.insert("people", {}, key="ada"), "exists already"),
            (lambda: db.patch("people:eve", {}), "does not exist"),
            (lambda: db.replace("people:eve", {}), "does not exist"),
            (lambda: db.delete("people:eve"), "does not exist"),
            (lambda: db.insert("people", []), "expected a dict"),
            (lambda: db.insert("a:b", {}), "table: "),
            (lambda: db.insert("", {}), "table: "),
            (lambda: db.insert("people", {}, key="a b"), "key: "),
            (lambda: db.insert("people", {}, key=""), "key: "),
            (lambda: db.insert("people", {}, key="{x}\r\n"), "key: "),
            (lambda: db.get("people"), "document id: "),
            (lambda: db.get(5), "document id: "),  # type: ignore[call-overload]
        ]
        for attempt, message in attempts:
            with pytest.raises(InvalidDocument, match=message):
                await attempt()  # type: ignore[no-untyped-call]
        with pytest.raises(ValueError, match=r"document\.price: a set cannot be stored"):
            await db.insert("people", {"price": {1}})
        return len(attempts)

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, wrong), timeout=5) == 12


async def test_limits_of_one_mutation(namespace: str, url: str, start_worker: StartWorker) -> None:
    # C2.9, C6.1
    app = App(namespace, limits=Limits(document_bytes=1000, documents_read=5, documents_written=5))

    @app.mutation
    async def write(ctx: MutationContext, documents: int, size: int) -> None:
        for _ in range(documents):
            await ctx.db.insert("people", {"text": "x" * size})

    @app.mutation
    async def read(ctx: MutationContext, documents: int) -> None:
        for number in range(documents):
            await ctx.db.get(f"people:{number}")
            await ctx.db.get(f"people:{number}")

    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler:
        for good in (write.after(0, 5, 900), read.after(0, 5)):
            (job_id,) = await scheduler.schedule_many([good])
            assert await scheduler.result(job_id, timeout=5) is None
        for bad in (write.after(0, 6, 1), write.after(0, 1, 1001), read.after(0, 6)):
            (job_id,) = await scheduler.schedule_many([bad])
            with pytest.raises(JobFailed) as caught:
                await scheduler.result(job_id, timeout=5)
            assert caught.value.error_type == "LimitExceeded"


async def test_records_of_jobs_can_be_read_inside(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C5.4
    @app.mutation
    async def look(ctx: MutationContext, job_id: JobId) -> list[object]:
        job = await ctx.db.system.get(job_id)
        nobody = await ctx.db.system.get("01JD6Q2M8XK0T9V4W5Y7Z3ABCD")
        return [job and [job.name, job.state], nobody]

    @app.action
    async def look_too(ctx: ActionContext) -> object:
        job = await ctx.db.system.get(ctx.job_id)
        return job and job.state

    await start_worker()
    other = await scheduler.run_after(60_000, look_too)
    found = await scheduler.result(await scheduler.run_after(0, look, other), timeout=5)
    assert found == [["test_documents:look_too", "pending"], None]
    assert await scheduler.result(await scheduler.run_after(0, look_too), timeout=5) == "inProgress"
