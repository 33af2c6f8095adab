"""The stage, and what has to hold after each case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ACCOUNT
from tests.faults.corpus.app import make_app
from tests.faults.corpus.arguments import TAKEN, UNSTORABLE
from tests.faults.corpus.stage import Stage, raised
from tests.faults.corpus.times import DELAYS, TIMESTAMPS


@pytest.fixture(scope="package")
def long_lived_stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One worker for all cases: what one leaves behind would show in the next."""
    app = make_app({case.id: case for case in (*DELAYS, *TIMESTAMPS, *UNSTORABLE)}, {case.id: case for case in TAKEN})
    with raised(app, tmp_path_factory.mktemp("corpus"), request.config.stash[ACCOUNT]) as stage:
        stage.check_alive()
        yield stage


@pytest.fixture
def stage(long_lived_stage: Stage) -> Iterator[Stage]:
    """The stage for one case; afterwards the worker lives, does the next job, and nothing is stuck."""
    yield long_lived_stage
    long_lived_stage.check_alive()
    long_lived_stage.check_idle()


@pytest.fixture
def untouched(stage: Stage) -> Iterator[Stage]:
    """The stage for a case that is refused at the call: nothing is stored."""
    before = stage.names()
    yield stage
    assert stage.names() - before == set()
