"""The command lines that start the workers of systems which have such a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.told import Told

_PEERS = "benchmarks.peers"


@dataclass(frozen=True, slots=True)
class Launch:
    """Where a system's programs are, and for which case its workers are started."""

    bin: Path
    told: Told

    def program(self, name: str) -> str:
        return str(self.bin / name)


def duestream(launch: Launch) -> list[list[str]]:
    told = launch.told
    command = [launch.program("duestream"), "worker", f"{_PEERS}.duestream:app", "--url", told.url, "--quiet"]
    command += ["--processes", str(told.processes)]
    command += ["--concurrency", str(told.concurrency)] if told.concurrency else []
    return [[*command, "--queues", ",".join(queues(told))] if told.queues > 1 else command]


def queues(told: Told) -> list[str]:
    """The queues that jobs are spread over, where there is more than the default one."""
    return [f"q{number}" for number in range(told.queues)]


def celery(launch: Launch) -> list[list[str]]:
    told = launch.told
    command = [launch.program("celery"), "-A", f"{_PEERS}.celery", "worker", "-l", "ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-P", told.variant]
    if told.variant == "prefork":
        return [[*command, "-c", str(told.jobs_at_once(told.processes)), "-n", "w0@bench"]]
    at_once = {"threads": told.jobs_at_once(2), "solo": 1, "gevent": told.jobs_at_once(100)}[told.variant]
    return [[*command, "-c", str(at_once), "-n", f"w{number}@bench"] for number in range(told.processes)]


def dramatiq(launch: Launch) -> list[list[str]]:
    told = launch.told
    gevent = told.variant == "gevent"
    command = [launch.program("dramatiq-gevent" if gevent else "dramatiq"), f"{_PEERS}.dramatiq:broker"]
    at_once = told.jobs_at_once(16 if gevent else 8)
    return [[*command, "-p", str(told.processes), "-t", str(at_once), "--skip-logging"]]


def huey(launch: Launch) -> list[list[str]]:
    command = [launch.program("huey_consumer"), f"{_PEERS}.huey.huey", "-k", "thread", "-s", "1", "-q"]
    return [[*command, "-w", str(launch.told.jobs_at_once(4))]] * launch.told.processes


def rq(launch: Launch) -> list[list[str]]:
    told = launch.told
    kind = {"simple": "rq.worker.SimpleWorker", "fork": "rq.worker.Worker"}[told.variant]
    command = [
        launch.program("rq"),
        "worker",
        "default",
        "-u",
        told.url,
        "-w",
        kind,
        "-q",
        "--disable-job-desc-logging",
    ]
    lines = [list(command) for _ in range(10 if told.case == "crash" else told.processes)]
    if told.case in ("delayed", "pending", "crash"):
        lines[0].append("--with-scheduler")
    return lines


def taskiq(launch: Launch) -> list[list[str]]:
    told = launch.told
    quiet = ["--log-level", "WARNING"]
    worker = [launch.program("taskiq"), "worker", f"{_PEERS}.taskiq:broker", *quiet]
    lines = [[*worker, "-w", str(told.processes), "--max-async-tasks", str(told.jobs_at_once(100))]]
    if told.case in ("delayed", "pending"):
        scheduler = [launch.program("taskiq"), "scheduler", f"{_PEERS}.taskiq:scheduler", *quiet]
        lines.append([*scheduler, "--update-interval", "1", "--loop-interval", "1"])
    return lines
