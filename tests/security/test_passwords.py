"""No password of a url is ever shown: not printed, not logged, not in a traceback, not in the list of processes."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from scheduler import App, ConfigurationError, EmbeddedServer, Scheduler, SyncScheduler, Unavailable
from scheduler.cli import cli
from scheduler.cli.session import Target
from scheduler.clients import async_client, blocking_client, reader_client
from scheduler.redaction import redacted
from tests.cli_worker.processes import JOBS, Running
from worker.connections import Connections

PASSWORD = "hunter2-is-no-secret"


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedServer(tmp_path_factory.mktemp("redis"), persistent=False) as server:
        yield server.url


@pytest.fixture
def url(server_url: str) -> str:
    """A server with a user that has a password."""
    with redis.Redis.from_url(server_url) as client:
        client.execute_command("ACL", "SETUSER", "ada", "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    return server_url.replace("redis://", f"redis://ada:{PASSWORD}@")


@pytest.fixture
def start(tmp_path: Path, url: str) -> Iterator[Callable[..., Running]]:
    (tmp_path / "jobs.py").write_text(JOBS)
    started: list[Running] = []

    def begin(*arguments: str) -> Running:
        started.append(Running(tmp_path, *arguments, url=url, number=len(started)))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def command_lines() -> str:
    """Those of all processes on this machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_text(errors="replace").replace("\0", " "))
    return "\n".join(found)


def test_workers_show_no_password(start: Callable[..., Running], url: str) -> None:
    workers = start("worker", "jobs:app", "-w", "2", "-v")
    workers.until_said("started worker=", times=2)
    with SyncScheduler(App("jobs"), url=url) as scheduler:
        assert scheduler.result(scheduler.run_after(0, "jobs:note", text="x"), timeout=20) == "x"
    seen = command_lines()
    assert seen.count("--watch-stdin") >= 2
    workers.tell()
    assert workers.code() == 0
    assert PASSWORD not in seen + workers.said()


def test_dev_shows_no_password(start: Callable[..., Running]) -> None:
    dev = start("dev", "jobs:app", "--no-reload")
    dev.until_said("started worker=")
    seen = command_lines()
    dev.tell(signal.SIGINT)
    dev.code()
    assert "redis://ada:***@127.0.0.1" in dev.said()
    assert PASSWORD not in seen + dev.said()


def test_a_lost_server_and_a_wrong_password_show_none(start: Callable[..., Running], url: str) -> None:
    promoter = start("promoter", "-n", "jobs", "-v")
    promoter.until_said("started promoter=")
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "ada", "resetpass", ">another-password")
        client.execute_command("AUTH", "ada", "another-password")
        client.execute_command("CLIENT", "KILL", "USER", "ada", "SKIPME", "no")
    promoter.until_said("invalid username-password pair")
    refused = start("worker", "jobs:app")
    assert refused.code() == 1
    assert "Redis refused the credentials" in refused.said()
    assert PASSWORD not in promoter.said() + refused.said()


@pytest.mark.parametrize(
    "words",
    [
        ("info",), ("info", "--json"), ("job", "list"), ("queue", "list"), ("worker", "list", "--json"),
        ("function", "list"), ("enqueue", "jobs:note", "text=x", "--allow-unknown"), ("cancel", "--all", "--yes"),
        ("db", "tables"), ("job", "show", "nonsense"), ("enqueue",),
    ],
)  # fmt: skip
def test_no_command_shows_a_password(url: str, words: tuple[str, ...]) -> None:
    for server in (url, url.replace(PASSWORD, f"{PASSWORD}-wrong")):
        assert PASSWORD not in _said(server, *words)


def test_a_command_without_a_server_shows_none() -> None:
    assert PASSWORD not in _said(_nobody(), "info")


def _said(server: str, *words: str) -> str:
    """All that a command prints, with the traceback that somebody could ask for."""
    result = CliRunner().invoke(cli, [*words], env={"REDIS_URL": server, "DUESTREAM_NAMESPACE": "jobs"})
    return result.output + "".join(traceback.format_exception(result.exception or ValueError()))


def _nobody() -> str:
    """A url where no server is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"redis://ada:{PASSWORD}@127.0.0.1:{free.getsockname()[1]}/0"


BAD = [
    f"redis://:{PASSWORD}/x@host/0", f"redis://ada:{PASSWORD}?x@host", f"redis://ada:{PASSWORD}#x@host",
    f"http://ada:{PASSWORD}@host", f"redis://ada:{PASSWORD}@host:nan", f"redis://[{PASSWORD}@host", PASSWORD,
    f"redis://ada:{PASSWORD}@host?{PASSWORD}=1", f"redis://ada:{PASSWORD}@host?db={PASSWORD}",
    f"rediss://ada:{PASSWORD}@host?ssl_ca_certs=/nowhere/ca.pem", f"rediss://ada:{PASSWORD}@host?ssl_cert_reqs=maybe",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_a_url_that_cannot_be_read_is_not_shown(bad: str) -> None:
    makers: list[Callable[[str], Any]] = [
        async_client, blocking_client, lambda one: reader_client(one, lambda _: None), Connections,
        lambda one: SyncScheduler(App("jobs"), url=one).open(),
    ]  # fmt: skip
    for make in makers:
        with pytest.raises(ConfigurationError, match=r"^url: ") as refused:
            make(bad)
        assert PASSWORD not in "".join(traceback.format_exception(refused.value))


async def test_errors_logs_and_text_forms_show_none(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app, wrong = App("jobs", url=url), url.replace(PASSWORD, f"{PASSWORD}-wrong")
    async with Scheduler(app) as scheduler:
        shown = [repr(scheduler), repr(app), repr(scheduler._store), repr(scheduler._store._client)]
    for server, kind in ((wrong, ConfigurationError), (_nobody(), Unavailable)):
        with pytest.raises(kind) as refused:
            await Scheduler(app, url=server).open()
        shown += ["".join(traceback.format_exception(refused.value)), repr(refused.value)]
    shown += [repr(Target(url, None, None)), caplog.text]
    assert PASSWORD not in "\n".join(shown)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://ada@localhost", "redis://ada@localhost"),
        ("redis://ada:secret@localhost:6379/2?ssl=1", "redis://ada:***@localhost:6379/2?ssl=1"),
        ("rediss://:secret@[::1]:6379", "rediss://:***@[::1]:6379"),
        ("redis://localhost?password=secret&db=3", "redis://localhost?password=***&db=3"),
        ("rediss://h?ssl_password=secret", "rediss://h?ssl_password=***"),
        ("unix://ada:secret@/run/redis.sock?db=1", "unix://ada:***@/run/redis.sock?db=1"),
        ("redis://:se/cret@localhost", "redis://***"),
        ("redis://:se?cret@localhost", "redis://***"),
        ("redis://:se#cret@localhost", "redis://***"),
        ("redis://:se]cret[@localhost", "***"),
        ("redis://a:b:secret@localhost", "redis://a:***@localhost"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_a_unix_socket_is_a_server_too(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "s", persistent=False, config={"unixsocket": str(tmp_path / "r.sock")}) as server:
        assert server.url
        with SyncScheduler(App("jobs"), url=f"unix://{tmp_path}/r.sock?db=0") as scheduler:
            assert scheduler.count() == 0
