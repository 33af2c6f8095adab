"""The scripts against the model: faults.md's layer of that name, on a real server with time given by hand."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from scheduler import EmbeddedServer
from tests.properties.machine import Machine
from tests.transitions.conftest import World, make_world

DEEP = int(os.environ.get("DEEP") or 1)
"""How many times as many runs as a change is tested with."""

PARTS, RUNS_A_PART, WITH_RESTARTS = 8, 250, 20

SEED = int(os.environ.get("SEED") or int.from_bytes(os.urandom(4), "big"))
"""Of this run; hand it in to have the same run again."""

STEPS = 50


def run(name: str, examples: int, machine: Callable[[], Machine], part: int = 0) -> None:
    """Run a machine, and say how often and with which seed."""
    made = 0

    @hypothesis.seed(SEED + part)
    def make() -> Machine:
        nonlocal made
        made += 1
        return machine()

    profile = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(cast("type[RuleBasedStateMachine]", make), settings=profile)
    finally:
        sys.stdout.write(f"\n{name}: {made} runs of up to {STEPS} steps, SEED={SEED}\n")


@pytest.mark.parametrize("part", range(PARTS))
def test_the_scripts_do_what_the_model_says(part: int, client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    # C2 to C6
    with capsys.disabled():
        run(f"model, part {part}", DEEP * RUNS_A_PART, lambda: Machine(make_world(client)), part)


class Restarted(Machine):
    """The server is killed now and then, and comes back with what it has on disk (C7.1, C7.3)."""

    def __init__(self, world: World, server: EmbeddedServer, client: redis.Redis) -> None:
        super().__init__(world)
        self.server = server
        self.client = client

    @rule()
    def the_server_is_killed(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.stop()
        # Its former port may have been taken meanwhile.
        pool = self.client.connection_pool
        pool.disconnect()
        pool.reset()
        pool.connection_kwargs["port"] = urlsplit(self.server.start()).port


def test_and_so_they_do_when_the_server_restarts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        EmbeddedServer(tmp_path, config={"appendfsync": "always"}) as server,
        redis.Redis.from_url(server.url, protocol=2) as client,
        capsys.disabled(),
    ):
        run("restarts", DEEP * WITH_RESTARTS, lambda: Restarted(make_world(client), server, client))
