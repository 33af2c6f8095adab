"""Handlers that take their whole process down: the job ends with a reason, and another worker goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import JobState
from tests.conftest import ACCOUNT
from tests.faults.corpus.killers import KILLERS, make_app
from tests.faults.corpus.stage import DEADLINE_S, Stage, raised
from tests.worker.processes import WorkerProcess, wait_until

NAMESPACE = "killers"
CASES = [(name, kind) for name in KILLERS for kind in ("mutation", "action")]


@pytest.fixture(scope="module")
def survivors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A worker that takes none of these jobs, and judges those that do: after the first death a mutation fails."""
    folder = tmp_path_factory.mktemp("killers")
    with raised(make_app(NAMESPACE), folder, request.config.stash[ACCOUNT], lease_ms=1_000, max_deliveries=1) as stage:
        yield stage


@pytest.fixture(scope="module")
def victims(
    survivors: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], tuple[WorkerProcess, str]]]:
    """A worker process for each case, and the job that is its end; all at once, for each takes a lease."""
    folder: Path = tmp_path_factory.mktemp("victims")
    started = {}
    try:
        for case in CASES:
            name, kind = case
            started[case] = WorkerProcess(
                survivors.url,
                NAMESPACE,
                folder / f"{name}-{kind}.log",
                module="tests.faults.corpus.killers",
                traced=False,
                lease_ms=1_000,
                max_deliveries=1,
                queues=[f"{name}-{kind}"],
                promote=False,
                grace_s=1,
            )
        for process in started.values():
            process.wait_started()
        jobs = {case: survivors.blocking.run_after(0, "killers:{}_{}".format(*case)) for case in CASES}
        yield {case: (process, jobs[case]) for case, process in started.items()}
    finally:
        for process in started.values():
            process.end()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_handler_that_takes_its_worker_down(
    survivors: Stage, victims: dict[tuple[str, str], tuple[WorkerProcess, str]], name: str, kind: str
) -> None:
    # C3.4, C3.5
    process, job_id = victims[name, kind]
    job = survivors.end_of(job_id)
    assert job.error is not None
    assert (job.state, job.error.type) == (JobState.FAILED, "WorkerLost")
    reason = "took its worker down" if kind == "mutation" else "transient error while executing action"
    assert reason in job.error.message
    wait_until(lambda: process.process.poll() is not None, DEADLINE_S, "the end of its worker")
    assert survivors.blocking.result(survivors.blocking.run_after(0, "killers:probe"), timeout=DEADLINE_S) == "alive"
    assert survivors.worker.alive
    survivors.check_idle()
