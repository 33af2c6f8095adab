"""The table of `docs/durability.md`: each cell names a test, and each named test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
TESTS = dict(re.findall(r"^\| \[(\w)\] \| `(.+?)` \|$", PAGE, re.MULTILINE))
EVENTS = (
    "The process of Redis dies",
    "The machine of Redis loses its power",
    "A replica takes the place of the primary",
)
WHAT = ["a mutation", "an action", "an accepted schedule call", "a result already returned"]


def rows(event: str) -> list[list[str]]:
    """The cells of an event's table, with the head."""
    section = PAGE.split(f"## {event}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("event", EVENTS)
def test_each_cell_names_its_test(event: str) -> None:
    head, *body = rows(event)
    assert head[1:] == WHAT
    assert len(body) >= 2
    for _, *cells in body:
        assert len(cells) == len(WHAT)
        for cell in cells:
            named = re.findall(r"\[(\w)\]", cell)
            assert named, f"{event}: nothing holds {cell!r}"
            assert set(named) <= TESTS.keys()


@pytest.mark.parametrize("letter", sorted(TESTS))
def test_each_named_test_is_there_and_meant(letter: str) -> None:
    file, _, name = TESTS[letter].partition("::")
    source = (ROOT / "tests" / "durability" / file).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)
    assert PAGE.count(f"[{letter}]") > 1, "no cell is held by it"


def test_the_settings_of_the_page_are_those_that_are_asked_for() -> None:
    from scheduler.durability import FSYNC

    for name, value in FSYNC.items():
        assert f"`{name} {value}`" in PAGE
