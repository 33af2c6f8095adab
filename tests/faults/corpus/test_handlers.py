"""Handlers that end badly, as mutation and as action, on the loop and in threads: the worker does the next job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scheduler import ActionContext, App, JobState, MutationContext
from tests.conftest import ACCOUNT
from tests.faults.corpus.handlers import (
    ANYWHERE,
    IN_A_THREAD,
    OF_ACTIONS,
    OF_MUTATIONS,
    ON_THE_LOOP,
    Ending,
    handler_of,
)
from tests.faults.corpus.stage import Stage, raised

CASES: list[tuple[str, Ending]] = [
    *((kind, one) for kind in ("mutation", "action") for one in (*ANYWHERE, *ON_THE_LOOP, *IN_A_THREAD)),
    *((kind, replace(one, plain=True)) for kind in ("mutation", "action") for one in ANYWHERE),
    *(("mutation", one) for one in OF_MUTATIONS),
    *(("action", one) for one in OF_ACTIONS),
]


def name_of(case: tuple[str, Ending]) -> str:
    kind, ending = case
    return f"{ending.id} in {'a plain' if ending.plain else 'an async'} {kind}"


def function_of(case: tuple[str, Ending]) -> str:
    return "ends:" + "".join(one if one.isalnum() else "_" for one in name_of(case))


@pytest.fixture(scope="module")
def long_lived_stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One worker for all endings."""
    app = App("corpus")

    @app.mutation(name="corpus:probe")
    async def probe(ctx: MutationContext) -> str:
        return "alive"

    @app.action(name="corpus:probe_action")
    async def probe_action(ctx: ActionContext) -> str:
        return "alive"

    for case in CASES:
        kind, ending = case
        getattr(app, kind)(name=function_of(case), timeout=ending.timeout)(handler_of(ending))
    with raised(app, tmp_path_factory.mktemp("handlers"), request.config.stash[ACCOUNT]) as stage:
        stage.check_alive()
        yield stage


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_bad_end_is_the_end_of_one_job(stage: Stage, case: tuple[str, Ending]) -> None:
    # C3.2, C3.5
    _, ending = case
    job = stage.end_of(stage.blocking.run_after(0, function_of(case)))
    if not ending.error:
        assert (job.state, job.error) == (JobState.SUCCESS, None)
        return
    assert job.error is not None
    assert (job.state, job.error.type) == (JobState.FAILED, ending.error), job.error.message[:500]
    assert ending.culprit in job.error.message
    assert len(job.error.message) <= 4_000
    assert len(job.error.traceback) <= 16_000
    assert stage.cli("job", "show", job.id).exit_code == 0
