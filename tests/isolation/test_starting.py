"""How a process of its own finds the app, and what is said where it cannot: when the worker starts, not at a job."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from scheduler import App, BlockingMutationContext, ConfigurationError, InvalidOption, Scheduler
from scheduler.catalog import IndexCatalog
from scheduler.clients import async_client
from scheduler.clock import RedisClock
from scheduler.keys import Keys
from scheduler.spec import Spec
from scheduler.store import AsyncStore
from scheduler.transitions import Delivery
from tests.conftest import until
from tests.isolation.processes import is_alive
from tests.worker.processes import ROOT
from worker import cells
from worker.connections import Connections
from worker.delivery import Held
from worker.ended import Failed
from worker.isolation import Isolation
from worker.runtime import Worker
from worker.settings import WorkerSettings

SHOP = Path(__file__).with_name("shop.py")

SECOND = """
import os, time
from scheduler import App, BlockingMutationContext

app = App("second")

@app.mutation(isolate=True)
def where(ctx: BlockingMutationContext) -> int:
    return os.getpid()

match os.environ.get("SECOND"):
    case "fails":
        raise RuntimeError("not here\\nnor there")
    case "exits":
        raise SystemExit(3)
    case "other":
        app = App("another")
    case "none":
        del app
    case "hangs":
        time.sleep(600)
    case "dies":
        os._exit(4)
"""


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An app on disk that is another one when it is imported again."""
    (tmp_path / "second.py").write_text(SECOND)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("second").app
    sys.modules.pop("second", None)


async def start_error(app: App, url: str) -> str:
    """Why a worker does not start."""
    with pytest.raises((ConfigurationError, ConnectionError)) as error:
        await Worker(app, Connections(url), WorkerSettings(lease_ms=1_000)).run()
    return str(error.value)


async def test_an_app_that_has_no_name(url: str) -> None:
    app = App("hidden")

    @app.mutation(isolate=True)
    def place(ctx: BlockingMutationContext) -> None: ...

    said = await start_error(app, url)
    assert said == (
        "isolate=True: another process cannot find the app 'hidden': it has no name in any module "
        "(make it at the top of a module: app = App(...), or app = make_app())"
    )


async def test_a_function_that_is_registered_too_late(app: App, url: str) -> None:
    @app.action(isolate=True)
    def late(ctx: Any) -> None: ...

    assert "test_starting:late is not registered when its module is imported again" in await start_error(app, url)


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ("fails", "a process of its own cannot import second: RuntimeError: not here"),
        ("exits", "a process of its own cannot import second: SystemExit: 3"),
        ("other", "the app is 'second' here, and 'another' when it is imported again"),
        ("none", "second has no app 'app' when it is imported again"),
        ("dies", "a process of its own ended before it was ready: it ended with exit code 4"),
    ],
)
async def test_an_app_that_is_another_one_there(
    second: App, url: str, monkeypatch: pytest.MonkeyPatch, now: str, message: str
) -> None:
    monkeypatch.setenv("SECOND", now)
    said = await start_error(second, url)
    assert message in said
    assert "\n" not in said


async def test_an_import_that_never_ends(second: App, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A script that starts the worker whenever it is imported, say.
    monkeypatch.setattr(cells, "START_S", 1.0)
    monkeypatch.setenv("SECOND", "hangs")
    assert "had not imported the app after 1 s" in await start_error(second, url)
    with redis.Redis.from_url(url) as client:
        assert client.keys() == []  # not a worker yet, it has no heartbeat, although leases were renewed by now


@pytest.mark.parametrize("decorator", ["mutation", "internal_mutation", "action", "internal_action"])
def test_options(decorator: str) -> None:
    app = App("shop")
    assert getattr(app, decorator)(isolate=True)(handler).isolate is True
    with pytest.raises(InvalidOption, match="isolate: expected a bool, got a str"):
        getattr(app, decorator)(isolate="yes", name="other")(handler)


def test_not_together_with_a_transaction() -> None:
    with pytest.raises(InvalidOption, match="isolate: not together with transaction="):
        App("shop").mutation(isolate=True, transaction=object())(handler)  # type: ignore[call-overload]


def handler(ctx: Any) -> None: ...


@asynccontextmanager
async def isolation_of(app: App, url: str, idle_s: float = 60.0) -> AsyncIterator[Isolation]:
    client, clock = async_client(url), RedisClock()
    clock.observe(1_800_000_000_000, time.monotonic())
    isolation = Isolation(app, AsyncStore(Keys(app.namespace), client), clock, IndexCatalog(), idle_s)
    yield isolation
    await isolation.close()
    await client.aclose()


async def test_an_idle_process_ends_and_another_one_comes(app: App, url: str) -> None:
    async with isolation_of(app, url, idle_s=0.05) as isolation:
        await isolation.check()
        (first,) = isolation.cells.processes
        await until(lambda: isolation.cells.processes == [])
        assert not is_alive(first)
        await isolation.check()
        assert isolation.cells.processes not in ([], [first])


@pytest.mark.parametrize(("kind", "transient", "outage"), [("raise", False, False), ("outage", True, True)])
async def test_what_is_told_of_an_error(app: App, url: str, kind: str, transient: bool, outage: bool) -> None:
    # C3.3: the class itself stays there.
    function = app.functions["shop:fail"]
    spec = Spec(0, 0, "default", function.name, "mutation", "", "", [kind], {})
    held = Held(Delivery("0" * 26, "default", "1-0", "token", 1), spec, function=function)
    async with isolation_of(app, url) as isolation:
        ended = await isolation.visit(held).run()
    assert isinstance(ended, Failed)
    assert (ended.transient, ended.outage) == (transient, outage)


def start_program(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=out, stderr=out)


@pytest.mark.parametrize("program", [["-m", "tests.isolation.shop"], [str(SHOP)]], ids=["python -m", "python file.py"])
async def test_the_app_of_the_program_that_is_run(
    app: App, scheduler: Scheduler, url: str, tmp_path: Path, program: list[str]
) -> None:
    # C1.2: `__main__` is another module there.
    process = start_program(tmp_path / "log", *program, url, "{}")
    try:
        found = await scheduler.result(
            await scheduler.options(allow_unknown=True).run_after(0, "shop:where"), timeout=30
        )
        assert found[1] == process.pid
    finally:
        process.terminate()
        process.wait(10)
    assert not is_alive(found[0])
    assert "Traceback" not in (tmp_path / "log").read_text()
