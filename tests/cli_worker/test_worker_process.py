"""`duestream worker` as a process: how it starts, stops and bears that Redis is away."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from scheduler import App, EmbeddedServer, JobState, SyncScheduler
from tests.cli_worker.conftest import Start
from tests.cli_worker.processes import until

TARGET = "jobs:app"


def test_a_burst_runs_what_is_due_on_all_queues_and_ends(
    start: Start, server: EmbeddedServer, scheduler: SyncScheduler
) -> None:
    client = scheduler.options(allow_unknown=True)
    ids = [client.run_after(0, "jobs:note", text=f"n{n}") for n in range(50)]
    ids.append(scheduler.options(allow_unknown=True, queue="mail").run_after(0, "jobs:elsewhere"))
    later = client.run_after(60_000, "jobs:note", text="later")
    assert start("worker", TARGET, "--burst", url=server.url).code() == 0
    assert {job.state for job_id in ids if (job := scheduler.get(job_id))} == {JobState.SUCCESS}
    left = scheduler.get(later)
    assert left is not None
    assert left.state is JobState.PENDING


def test_the_first_term_lets_an_action_finish(
    start: Start, server: EmbeddedServer, scheduler: SyncScheduler, directory: Path
) -> None:
    worker = start("worker", TARGET, url=server.url)
    worker.until_said("started worker=")
    job_id = scheduler.run_after(0, "jobs:slow", seconds=1)
    until("the action runs", (directory / "slow").exists)
    worker.tell(signal.SIGTERM)
    assert worker.code() == 0
    job = scheduler.get(job_id)
    assert job is not None
    assert (job.state, job.result) == (JobState.SUCCESS, "slept")


@pytest.mark.parametrize("handler", ["slow", "block_the_loop", "block_a_thread"])
def test_the_second_signal_is_hard_whatever_a_handler_does(
    start: Start, server: EmbeddedServer, scheduler: SyncScheduler, directory: Path, handler: str
) -> None:
    worker = start("worker", TARGET, url=server.url)
    worker.until_said("started worker=")
    scheduler.run_after(0, f"jobs:{handler}", seconds=30)
    until("the action runs", lambda: (directory / "slow").exists() or (directory / "blocked").exists())
    worker.tell(signal.SIGTERM)

    def ended() -> bool:
        # Again and again: one that comes just before the system call that blocks is seen at the next one.
        worker.tell(signal.SIGINT)
        return worker.process.poll() is not None

    until("it has ended", ended, 5)
    assert worker.code() == 1


@pytest.mark.parametrize("handler", ["block_a_thread", "block_a_helper"])
def test_a_thread_that_does_not_end_cannot_keep_the_process(
    start: Start, server: EmbeddedServer, scheduler: SyncScheduler, directory: Path, handler: str
) -> None:
    worker = start("worker", TARGET, "--grace", "100ms", url=server.url)
    worker.until_said("started worker=")
    scheduler.run_after(0, f"jobs:{handler}", seconds=60)
    until("the thread is blocked", (directory / "blocked").exists)
    worker.tell()
    assert worker.code() == 0
    assert "handlers still run in threads" in worker.said()


def test_a_term_while_it_starts_ends_it(start: Start, server: EmbeddedServer, directory: Path) -> None:
    """The first process of a container has no default for TERM: it was ignored while the app was imported, and the
    worker went on until it was killed."""
    (directory / "slow_import.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nfrom jobs import app\n"
    )
    worker = start("worker", "slow_import:app", url=server.url)
    assert worker.code() == 128 + signal.SIGTERM
    assert "started worker=" not in worker.said()


def test_redis_may_be_away_at_the_start(start: Start, directory: Path) -> None:
    server = EmbeddedServer(directory / "late", persistent=False)
    url = server.start()
    server.stop()
    worker = start("worker", TARGET, url=url)
    worker.until_said("redis is away")
    with server:
        assert server.url == url, "the server came back at another port"
        worker.until_said("started worker=")
        worker.tell()
        assert worker.code() == 0


def test_redis_may_go_and_come_back(start: Start, directory: Path) -> None:
    server = EmbeddedServer(directory / "again")
    url = server.start()
    worker = start("worker", TARGET, url=url)
    worker.until_said("started worker=")
    server.stop()
    worker.until_said("redis is away")
    with server, SyncScheduler(App("jobs"), url=url) as scheduler:
        worker.until_said("redis is back")
        job_id = scheduler.options(allow_unknown=True).run_after(0, "jobs:note", text="x")
        assert scheduler.result(job_id, timeout=20) == "x"
        worker.tell()
        assert worker.code() == 0


def test_a_stop_while_redis_is_gone_is_bounded(start: Start, directory: Path) -> None:
    with EmbeddedServer(directory / "gone", persistent=False) as server:
        worker = start("worker", TARGET, "--grace", "100ms", url=server.url)
        worker.until_said("started worker=")
    worker.until_said("redis is away")
    worker.tell()
    assert worker.code(15) == 0


def test_a_stop_does_not_wait_for_redis(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else can take it
        worker = start("worker", TARGET, url=f"redis://127.0.0.1:{taken.getsockname()[1]}/0")
        worker.until_said("redis is away")
        worker.tell()
        assert worker.code(8) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("worker", TARGET, "-u", "http://x"), 2, "error: --url: "),
        (("worker", TARGET, "-w", "2", "-u", "http://x"), 2, "error: --url: "),
        (("promoter", "-n", "jobs", "-u", "http://x"), 2, "error: --url: "),
        (("worker", TARGET), 1, "error: no Redis server: "),
        (("worker", "nowhere:app"), 1, "error: cannot import nowhere: "),
        (("worker", TARGET, "-u", "redis://x", "-c", "0"), 2, "error: --concurrency: "),
        (("worker", TARGET, "-u", "redis://x", "-Q", "no spaces"), 2, "error: --queues: "),
        (("worker", TARGET, "-u", "redis://x", "--lease", "1ms"), 2, "error: --lease: "),
        (("promoter", "-n", "no spaces", "-u", "redis://x"), 2, "error: --namespace: "),
    ],
)
def test_what_cannot_work_is_one_line_and_an_exit_code(
    start: Start, arguments: tuple[str, ...], code: int, said: str
) -> None:
    process = start(*arguments)
    assert process.code() == code
    assert process.said().startswith(said)
    assert process.said().count("\n") == 1


@pytest.mark.parametrize("arguments", [("worker", TARGET), ("worker", TARGET, "-w", "2"), ("promoter", "-n", "jobs")])
def test_a_wrong_password_is_an_error_and_not_an_outage(
    start: Start, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with EmbeddedServer(tmp_path / "open", persistent=False) as server:
        port = server.url.rpartition(":")[2]
        process = start(*arguments, url=f"redis://nobody:wrong@127.0.0.1:{port}")
        assert process.code() == 1
        assert process.said().splitlines()[-1].startswith("error: Redis refused the credentials")


def test_the_promoter_needs_to_know_the_app(start: Start) -> None:
    assert start("promoter").code() == 2


def test_the_promoter_alone_serves_workers_without_one(
    start: Start, server: EmbeddedServer, scheduler: SyncScheduler
) -> None:
    promoter = start("promoter", "-a", TARGET, url=server.url)
    worker = start("worker", TARGET, "--no-promote", url=server.url)
    promoter.until_said("leads promoter=")
    worker.until_said("started worker=")
    assert scheduler.result(scheduler.run_after(30, "jobs:note", text="x"), timeout=10) == "x"
    assert "leads promoter=" not in worker.said()
    for process in (promoter, worker):
        process.tell()
        assert process.code() == 0
    assert "stopped promoter=" in promoter.said()
