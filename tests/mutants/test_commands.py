"""What the rich calls of all scripts make a server do is what their source was read to say."""

from __future__ import annotations

import pytest

from scheduler.commands import used_by
from tests.mutants.samples import SAMPLES, Sample
from tests.transitions.conftest import World


def executed(world: World) -> set[str]:
    """The commands that the server has run since its counters were set back, those around a script left out."""
    lines = world.command("INFO", "commandstats").decode().splitlines()
    names = {line.removeprefix("cmdstat_").partition(":")[0].upper() for line in lines if line.startswith("cmdstat_")}
    return names - {"AUTH", "EVAL", "EVALSHA", "CONFIG|RESETSTAT", "INFO"}


@pytest.mark.parametrize("make", SAMPLES, ids=lambda make: make.__name__)
def test_a_script_calls_nothing_else(real_world: World, make: Sample) -> None:
    call = make(real_world)
    real_world.command("CONFIG", "RESETSTAT")
    real_world.run(call)
    assert set() < executed(real_world) <= used_by(call.script.name)
