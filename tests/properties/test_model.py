"""The scripts against the model: faults.md's layer of that name, on a real server with time given by hand."""

from __future__ import annotations

import os
import secrets

import hypothesis
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Machine
from tests.transitions.conftest import make_world

DEEP = bool(os.environ.get("DEEP"))
SEED = int(os.environ.get("SEED") or secrets.randbits(32))
"""Of this run; hand it in to have the same run again."""

SETTINGS = settings(
    max_examples=2000 if DEEP else 60,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def test_the_scripts_do_what_the_model_says(client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    # C2 to C6
    made = 0

    @hypothesis.seed(SEED)
    def make() -> Machine:
        nonlocal made
        made += 1
        return Machine(make_world(client))

    run_state_machine_as_test(make, settings=SETTINGS)
    with capsys.disabled():
        print(f"\nmodel: {made} runs of up to {SETTINGS.stateful_step_count} steps, SEED={SEED}")
