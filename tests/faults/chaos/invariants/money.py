"""1. The sum of all balances is constant; each balance is the replay of its successful transfers."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler import JobState
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding

TRANSFERS = ("transfer", "transfer_in_a_thread")


def check(books: Books) -> Iterator[Finding]:
    """Count the money."""
    yield _sum(books)
    yield _replay(books)
    yield _tellers(books)


def _sum(books: Books) -> Finding:
    """At the end, and whenever somebody counted in between (C6.2)."""
    finding, opened = Finding(1, "the sum of balances is constant"), sum(books.opening.values())
    closed = sum(books.accounts.values())
    finding.check(opened == closed, f"the sum was {opened}, and is {closed}")
    for job in books.of("audit", state=JobState.SUCCESS):
        finding.check(job.result == opened, f"{job.id} saw {job.result} in place of {opened}")
    return finding


def _replay(books: Books) -> Finding:
    """Each successful transfer counts once, any other not at all (C3.1)."""
    finding, balances = Finding(1, "each balance is the replay of its transfers"), dict(books.opening)
    moved = [job.kwargs for job in books.of(*TRANSFERS, state=JobState.SUCCESS)]
    for move in (*moved, *books.documents["moves"].values()):
        balances[move["source"]] -= move["cents"]
        balances[move["target"]] += move["cents"]
    for account in sorted(balances.keys() | books.accounts.keys()):
        expected, found = balances.get(account), books.accounts.get(account)
        finding.check(
            expected == found and found is not None and found >= 0,
            f"{account} holds {found}, its transfers say {expected}",
        )
    finding.looked_at += len(moved)
    return finding


def _tellers(books: Books) -> Finding:
    """A mutation that an action ran: done if the action succeeded, not done if it never began (C3.9)."""
    finding, starts = Finding(1, "transfers run by actions happened with them"), books.starts()
    for job in books.of("tell"):
        moved = job.id in books.documents["moves"]
        needed = job.state is JobState.SUCCESS and not books.may_have_lost_of(job)
        finding.check(moved or not needed, f"{job.id} moved nothing")
        finding.check(starts[job.id] > 0 or not moved, f"{job.id} never began, and moved")
    return finding
