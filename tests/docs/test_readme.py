"""The first app of the README, by the very lines that stand there; and its links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scheduler import Scheduler
from tests.conftest import StartWorker, until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
APP, CLIENT, BLOCKING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:3]
RUN = "asyncio.run(main())\n"


async def test_the_first_app(
    namespace: str,
    url: str,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # C1.1, C2.1
    monkeypatch.setenv("REDIS_URL", url)
    shop = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    assert APP.count('App("shop")') == 1
    code = APP.replace('App("shop")', f'App("{namespace}")') + BLOCKING
    exec(compile(code, "shop.py", "exec"), shop.__dict__)
    await start_worker(shop.app)
    own = ModuleType("client")
    assert CLIENT.endswith(RUN)
    exec(compile(CLIENT.removesuffix(RUN), "client.py", "exec"), own.__dict__)
    await own.main()
    assert capsys.readouterr().out == "placed o2\n"
    async with Scheduler(shop.app) as scheduler:
        visits = [await scheduler.result(await scheduler.run_after(0, shop.count_visit, "a"), 10) for _ in range(2)]
        assert visits == [1, 2]
        await scheduler.run_after(0, shop.place_order, "o3", cents=0)
        await until(lambda: _count(scheduler, "failed", 1))
        assert await scheduler.count(state="pending", function=shop.send_receipt) == 1  # of the one that succeeded


async def _count(scheduler: Scheduler, state: str, count: int) -> bool:
    return await scheduler.count(state=state) == count


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.stem
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
