"""Sabotaged scripts: the tests of the transitions must notice every one. One that lives is a missing test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler import scripts
from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.inner import run, sabotage

TRANSITIONS = Path(__file__).parents[1] / "transitions"
SELECTIONS = sorted({mutant.tests for mutant in MUTANTS})
BROKEN = re.compile("Error compiling|attempt to |nonexistent global")
ONLY_READ = {"count", "describe", "examine", "permit", "read", "show", "survey", "tally"}


def paths(tests: tuple[str, ...]) -> list[str]:
    return [str(TRANSITIONS / f"test_{test}.py") for test in tests]


def test_every_file_that_changes_a_job_is_sabotaged() -> None:
    folder = Path(scripts.__file__).parent / "lua"
    files = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.lua")}
    assert files - {mutant.file for mutant in MUTANTS} <= ONLY_READ


def test_names_are_unique() -> None:
    assert len({(mutant.file, mutant.name) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("tests", SELECTIONS, ids="+".join)
def test_unsabotaged_scripts_pass(tests: tuple[str, ...]) -> None:
    """Without this, a mutant that is killed would mean nothing."""
    verdict = run(*paths(tests))
    assert verdict.failed == []
    assert verdict.passed > 0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.name}")
def test_a_mutant_is_killed(mutant: Mutant) -> None:
    with sabotage(mutant):
        verdict = run(*paths(mutant.tests))
    assert verdict.failed, "it lives: a test is missing"
    assert not BROKEN.search(verdict.text), "this is no sabotage: it is no Lua"
