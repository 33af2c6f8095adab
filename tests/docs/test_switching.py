"""The code of `docs/switching.md`, by the very lines that stand there."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from scheduler import ActionContext, App, EmbeddedServer, MutationContext, Scheduler, SyncScheduler
from tests.conftest import StartWorker

PAGE = (Path(__file__).parents[2] / "docs" / "switching.md").read_text(encoding="utf-8")
CLOCK, TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

SHOP = """
from scheduler import App, MutationContext

app = App("shop")


@app.mutation
async def place_order(ctx: MutationContext, order_id: str, cents: int) -> str:
    await ctx.db.insert("orders", {"cents": cents}, key=order_id)
    return f"placed {order_id}"
"""


def module(name: str, code: str, monkeypatch: pytest.MonkeyPatch, **names: object) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(names)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(code, f"{name}.py", "exec"), made.__dict__)
    return made


async def test_a_clock_is_one_however_often_it_is_started(
    app: App, url: str, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # C2.7, C4.1
    @app.action(name="shop:report")
    async def report(ctx: ActionContext) -> None: ...

    names = {"app": app, "report": report, "time": time, "MutationContext": MutationContext, "Scheduler": Scheduler}
    shop = module("shop", CLOCK, monkeypatch, **names)
    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler:
        hour = int(time.time() * 1000) // shop.HOUR_MS
        for _ in range(2):
            await shop.start_clock(scheduler)
        for late in (0, 5):
            ran = await scheduler.run_after(0, shop.hourly, hour - late)
            await scheduler.result(ran, timeout=10)
        pending = (await scheduler.list(state="pending", function=shop.hourly)).jobs
        clocks = {(job.scheduled_time, job.args[0]) for job in pending}
        # One, unless the hour was over between two lines of this test.
        assert clocks <= {((hour + ahead) * shop.HOUR_MS, hour + ahead) for ahead in (1, 2)}
        assert len(pending) == len(clocks) >= 1
        assert await scheduler.count(function=report) == 2


def test_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    shop = module("shop", SHOP, monkeypatch)
    names = {"Path": Path, "EmbeddedServer": EmbeddedServer, "SyncScheduler": SyncScheduler, "subprocess": subprocess}
    own = module("test_shop", TEST, monkeypatch, app=shop.app, place_order=shop.place_order, **names)
    own.test_an_order_is_placed(tmp_path / "server")
