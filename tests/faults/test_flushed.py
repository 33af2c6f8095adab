"""All keys deleted under a living worker."""

from __future__ import annotations

import redis

from scheduler import App, MutationContext, Scheduler, UnknownFunction
from tests.conftest import DEADLINE_S, StartWorker, until


async def test_functions_are_known_again_soon_after_all_keys_were_deleted(
    app: App, url: str, start_worker: StartWorker
) -> None:
    # C2.6: other processes scheduled by name in vain, for up to a minute.
    @app.mutation(name="m:f")
    async def f(ctx: MutationContext) -> str:
        return "ran"

    await start_worker()
    async with Scheduler(App(app.namespace), url=url) as elsewhere:
        with redis.Redis.from_url(url) as server:
            server.flushall()

        async def is_known() -> bool:
            try:
                await elsewhere.run_after(60_000, "m:f")
            except UnknownFunction:
                return False
            return True

        await until(is_known, DEADLINE_S)
        assert await elsewhere.result(await elsewhere.run_after(0, "m:f"), timeout=DEADLINE_S) == "ran"
