"""`rediss://`: every connection of the product over TLS, with users and client certificates, on Debian's Redis 7.0."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from scheduler import App, EmbeddedServer, MutationContext, Scheduler, SyncScheduler, Unavailable
from scheduler.cli import cli
from scheduler.rights import rules
from scheduler.role import Role
from tests import acl
from tests.cli_worker.processes import JOBS, Running
from tests.conftest import running
from tests.security.certificates import Authority, Files
from tests.servers import program
from worker.settings import WorkerSettings

PASSWORD = "open-sesame"


@dataclass(frozen=True)
class TlsServer:
    """A server that speaks TLS on `port`, and in the open only to those who look after it."""

    plain_url: str
    port: int
    authority: Authority
    client: Files

    def url(self, user: str = "", *, host: str = "127.0.0.1", **options: str | Path) -> str:
        credentials = f"{user}:{PASSWORD}@" if user else ""
        given = {"ssl_ca_certs": self.authority.file, **options}
        return f"rediss://{credentials}{host}:{self.port}/0?{urlencode({k: str(v) for k, v in given.items() if v})}"

    def admin(self, *words: str) -> None:
        acl.administer(self.plain_url, *words)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority.make(folder, "authority")
    files, client = authority.issue("server", "127.0.0.1"), authority.issue("client")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "tls-port": str(port), "tls-cert-file": str(files.certificate), "tls-key-file": str(files.key),
        "tls-ca-cert-file": str(authority.file), "tls-auth-clients": "no",
    }  # fmt: skip
    with EmbeddedServer(folder / "redis", persistent=False, config=config, program=program("redis-7.0")) as server:
        made = TlsServer(server.url, port, authority, client)
        for role in Role:
            made.admin("ACL", "SETUSER", str(role), "on", f">{PASSWORD}", *rules(role, "t*"))
        yield made


@pytest.fixture(autouse=True)
def empty(tls: TlsServer) -> Iterator[None]:
    yield
    tls.admin("CONFIG", "SET", "tls-auth-clients", "no")
    tls.admin("FLUSHALL")


@pytest.fixture
def app() -> App:
    app = App("t-tls")

    @app.mutation(name="shop:double")
    async def double(ctx: MutationContext, number: int) -> int:
        await ctx.scheduler.run_after(0, double, 0) if number else None
        return 2 * number

    return app


async def test_a_job_is_scheduled_run_and_waited_for_over_tls(tls: TlsServer, app: App) -> None:
    worker, producer = tls.url("worker"), tls.url("producer")
    settings = WorkerSettings(name="w", grace_s=0)
    async with running(app, worker, settings, look=tls.plain_url), Scheduler(app, url=producer) as scheduler:
        assert await scheduler.result(await scheduler.run_after(20, "shop:double", 21), timeout=10) == 42


def test_the_command_line_speaks_tls(tls: TlsServer, tmp_path: Path) -> None:
    # A worker process with all its connections, the supervisor's child, and the operator's commands.
    (tmp_path / "jobs.py").write_text(JOBS.replace('App("jobs")', 'App("t-jobs")'))
    workers = Running(tmp_path, "worker", "jobs:app", "-w", "2", url=tls.url("worker"))
    try:
        workers.until_said("started worker=", times=2)
        words = ["enqueue", "jobs:note", "text=over TLS", "--wait", "--timeout", "20s", "-n", "t-jobs"]
        result = CliRunner(env={"REDIS_URL": tls.url("operator")}).invoke(cli, words)
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == "over TLS"
        workers.tell()
        assert workers.code() == 0
    finally:
        workers.end()
    assert "Traceback" not in workers.said()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (lambda tls: tls.url(ssl_ca_certs=""), "certificate verify failed"),
        (lambda tls: tls.url(ssl_ca_certs=_stranger(tls).file), "certificate verify failed"),
        (lambda tls: tls.url(host="localhost"), "certificate verify failed"),
        (lambda tls: tls.url().replace("rediss://", "redis://").partition("?")[0], "did not answer"),
    ],
    ids=["unknown authority", "another authority", "another host", "in the open"],
)
def test_a_server_that_cannot_prove_itself_is_not_talked_to(
    tls: TlsServer, app: App, url: Callable[[TlsServer], str], reason: str
) -> None:
    with pytest.raises(Unavailable, match=reason):
        SyncScheduler(app, url=url(tls)).open()


def _stranger(tls: TlsServer) -> Authority:
    return Authority.make(tls.authority.folder, "stranger")


def test_client_certificates(tls: TlsServer, app: App) -> None:
    tls.admin("CONFIG", "SET", "tls-auth-clients", "yes")
    mine, theirs = tls.client, _stranger(tls).issue("intruder")
    with SyncScheduler(app, url=tls.url("producer", ssl_certfile=mine.certificate, ssl_keyfile=mine.key)) as scheduler:
        assert scheduler.count() == 0
    stranger = tls.url("producer", ssl_certfile=theirs.certificate, ssl_keyfile=theirs.key)
    for url in (tls.url("producer"), stranger):
        with pytest.raises(Unavailable):
            SyncScheduler(app, url=url).open()
