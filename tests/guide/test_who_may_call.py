"""Public and internal functions, untrusted clients, unknown names."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import (
    ActionContext,
    App,
    InvalidArguments,
    InvalidCall,
    InvalidOption,
    JobFailed,
    JobId,
    MutationContext,
    NotAllowed,
    Scheduler,
    UnknownFunction,
)
from tests.conftest import StartWorker


async def test_an_untrusted_client_schedules_public_functions_only(
    app: App, url: str, start_worker: StartWorker
) -> None:
    # C1.6
    @app.mutation
    async def public(ctx: MutationContext) -> str:
        return "public"

    @app.internal_mutation
    async def internal(ctx: MutationContext) -> None: ...

    @app.internal_action
    async def internal_action(ctx: ActionContext) -> None: ...

    await start_worker()
    async with Scheduler(app, url=url, trusted=False) as visitor:
        for function in (internal, internal_action):
            with pytest.raises(NotAllowed, match="internal"):
                await visitor.run_after(0, function)
            with pytest.raises(NotAllowed, match="internal"):
                await visitor.run_after(0, function.name)
            with pytest.raises(NotAllowed, match="internal"):
                await visitor.schedule_many([public.after(0), function.after(0)])
        with pytest.raises(NotAllowed):
            await visitor.options(allow_unknown=True).run_after(0, "nobody:knows")
        assert await visitor.count() == 0
        assert await visitor.result(await visitor.run_after(0, public), timeout=5) == "public"


async def test_a_client_without_the_code_is_held_to_it_too(
    app: App, namespace: str, url: str, start_worker: StartWorker
) -> None:
    # C1.6: by name, what the live deployment registered counts
    @app.internal_mutation(name="shop:internal")
    async def internal(ctx: MutationContext) -> None: ...

    await start_worker()
    async with Scheduler(App(namespace), url=url, trusted=False) as visitor:
        with pytest.raises(NotAllowed, match="shop:internal"):
            await visitor.run_after(0, "shop:internal")


async def test_functions_schedule_internal_functions(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.6
    @app.internal_mutation
    async def internal(ctx: MutationContext) -> str:
        return "internal"

    @app.mutation
    async def public(ctx: MutationContext) -> JobId:
        return await ctx.scheduler.run_after(0, internal)

    await start_worker()
    child = await scheduler.result(await scheduler.run_after(0, public), timeout=5)
    assert await scheduler.result(child, timeout=5) == "internal"
    assert await scheduler.result(await scheduler.run_after(0, internal), timeout=5) == "internal"


async def test_a_name_that_nobody_registered_is_an_error(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C2.6
    await start_worker()
    for name in ("shop:gone", "__import__", "../x"):
        with pytest.raises(UnknownFunction, match="no live deployment"):
            await scheduler.run_after(0, name)
    for name in ("", "{x}", "a\r\nb", "x" * 10_000):
        with pytest.raises(InvalidOption, match="function: "):
            await scheduler.run_after(0, name)
    assert await scheduler.count() == 0


async def test_an_unknown_name_can_be_allowed_and_fails_when_it_runs(
    scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.6
    await start_worker()
    job_id = await scheduler.options(allow_unknown=True).run_after(0, "shop:gone", 1, x=2)
    with pytest.raises(JobFailed, match="no function 'shop:gone'") as caught:
        await scheduler.result(job_id, timeout=5)
    assert caught.value.error_type == "LookupError"
    job = await scheduler.get(job_id)
    assert job is not None
    assert (job.args, job.kwargs, job.attempts) == ([1], {"x": 2}, 1)


async def test_an_unknown_name_runs_where_it_is_deployed_meanwhile(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.6, C3.8
    job_id = await scheduler.options(allow_unknown=True).run_after(0, "shop:new")

    @app.mutation(name="shop:new")
    async def new(ctx: MutationContext) -> str:
        return "new code"

    await start_worker()
    assert await scheduler.result(job_id, timeout=5) == "new code"


async def test_bad_arguments_are_refused_at_the_call_where_the_function_is_at_hand(
    app: App, scheduler: Scheduler
) -> None:
    # C1.4
    @app.mutation
    async def place(ctx: MutationContext, item: str, amount: int = 1) -> None: ...

    async def plain(ctx: MutationContext) -> None: ...

    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}), ((5,), {}), (("a", 1, 2), {}), (("a",), {"amount": "1"}), (("a",), {"x": 1}),
    ]  # fmt: skip
    for args, kwargs in wrong:
        with pytest.raises(InvalidArguments, match="place: "):
            await scheduler.run_after(0, place, *args, **kwargs)
        with pytest.raises(InvalidArguments, match="place: "):
            await scheduler.run_after(0, place.name, *args, **kwargs)
    with pytest.raises(InvalidCall, match="decorate it"):
        await scheduler.run_after(0, plain)  # type: ignore[call-overload]
    assert await scheduler.count() == 0


async def test_bad_arguments_scheduled_by_name_fail_the_job_and_never_reach_the_handler(
    app: App, namespace: str, url: str, start_worker: StartWorker
) -> None:
    # C1.4, C3.2
    reached = []

    @app.mutation(name="shop:place")
    async def place(ctx: MutationContext, amount: int) -> None:
        reached.append("mutation")

    @app.action(name="shop:send")
    async def send(ctx: ActionContext, amount: int) -> None:
        reached.append("action")

    await start_worker()
    async with Scheduler(App(namespace), url=url) as elsewhere:
        for name in ("shop:place", "shop:send"):
            job_id = await elsewhere.run_after(0, name, "many")
            with pytest.raises(JobFailed, match="amount: ") as caught:
                await elsewhere.result(job_id, timeout=5)
            assert caught.value.error_type == "InvalidArguments"
    assert reached == []


async def test_a_function_of_another_app_is_refused(scheduler: Scheduler) -> None:
    # C2.6
    @App("other").mutation
    async def foreign(ctx: MutationContext) -> None: ...

    with pytest.raises(InvalidCall, match="'other'"):
        await scheduler.run_after(0, foreign)
