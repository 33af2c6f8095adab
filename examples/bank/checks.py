"""What a run of the bank came to, and whether the money adds up. No input or output here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scheduler import Job, JobState

TRANSFER, RECEIPT, AUDIT = "bank:transfer", "bank:send_receipt", "bank:audit"
WHY_FAILED = {TRANSFER: "Overdrawn", RECEIPT: "WorkerLost"}


@dataclass(frozen=True, slots=True)
class Facts:
    """The end of a run.

    Attributes:
        opening: What each account held before the first transfer, in cents, by key.
        closing: What each holds at the end.
        asked: Ids of the transfers that were scheduled.
        jobs: Every record.
        ended: The states under which Redis lists each job as ended, by job id.
        mailed: How often the receipt of each transfer left, by the transfer's id.
        killed: Names of the workers that were killed.
    """

    opening: Mapping[str, int]
    closing: Mapping[str, int]
    asked: Sequence[str]
    jobs: Sequence[Job]
    ended: Mapping[str, Sequence[str]]
    mailed: Mapping[str, int]
    killed: Collection[str] = ()

    def of(self, name: str, *states: JobState) -> list[Job]:
        """The jobs of a function, in one of these states if any is given."""
        return [job for job in self.jobs if job.name == name and (not states or job.state in states)]

    @property
    def replayed(self) -> dict[str, int]:
        """What each account should hold: the opening balance and its successful transfers, one after the other."""
        balances = dict(self.opening)
        for job in self.of(TRANSFER, JobState.SUCCESS):
            balances[job.kwargs["source"]] -= job.kwargs["cents"]
            balances[job.kwargs["target"]] += job.kwargs["cents"]
        return balances


def broken(facts: Facts) -> list[str]:
    """The promises that were not kept, in words; none if all is well."""
    return [
        *_sum_is_constant(facts),
        *_balances_are_the_replay(facts),
        *_one_final_state(facts),
        *_one_receipt_each(facts),
        *_no_receipt_twice(facts),
        *_failed_for_a_reason(facts),
    ]


def _sum_is_constant(facts: Facts) -> Iterator[str]:
    """At the end, and whenever somebody counted in between (C6.2)."""
    opened, closed = sum(facts.opening.values()), sum(facts.closing.values())
    if opened != closed:
        yield f"the sum of balances was {opened}, and is {closed}"
    if wrong := [job.result for job in facts.of(AUDIT, JobState.SUCCESS) if job.result != opened]:
        yield f"{len(wrong)} audits saw another sum than {opened}: {_some(map(str, wrong))}"


def _balances_are_the_replay(facts: Facts) -> Iterator[str]:
    """Each successful transfer counts once, any other not at all (C3.1)."""
    replayed = facts.replayed
    for account in sorted(replayed.keys() | facts.closing.keys()):
        if facts.closing.get(account) != replayed.get(account):
            yield f"account {account}: holds {facts.closing.get(account)}, its transfers say {replayed.get(account)}"
        elif replayed[account] < 0:
            yield f"account {account}: overdrawn, {replayed[account]}"


def _one_final_state(facts: Facts) -> Iterator[str]:
    """Each job that was asked for is there, has ended, and under one state alone."""
    if lost := set(facts.asked) - {job.id for job in facts.of(TRANSFER)}:
        yield f"transfers that were lost: {_some(lost)}"
    if twice := [job_id for job_id, count in Counter(job.id for job in facts.jobs).items() if count > 1]:
        yield f"jobs with more than one record: {_some(twice)}"
    if wrong := [job.id for job in facts.jobs if [*facts.ended.get(job.id, ())] != [job.state]]:
        yield f"jobs without exactly one final state: {_some(wrong)}"


def _one_receipt_each(facts: Facts) -> Iterator[str]:
    """A receipt was scheduled by each successful transfer, and by no other (C2.7)."""
    transferred = {job.id for job in facts.of(TRANSFER, JobState.SUCCESS)}
    receipts = Counter(str(job.args[0]) for job in facts.of(RECEIPT))
    if missing := transferred - receipts.keys():
        yield f"transfers without a receipt: {_some(missing)}"
    if extra := receipts.keys() - transferred:
        yield f"receipts of transfers that did not succeed: {_some(extra)}"
    if twice := [one for one, count in receipts.items() if count > 1]:
        yield f"transfers with more than one receipt: {_some(twice)}"


def _no_receipt_twice(facts: Facts) -> Iterator[str]:
    """A receipt left once, or not at all if its worker was killed (C3.5)."""
    if twice := [one for one, count in facts.mailed.items() if count > 1]:
        yield f"receipts that were started twice: {_some(twice)}"
    scheduled = {str(job.args[0]) for job in facts.of(RECEIPT)}
    if foreign := facts.mailed.keys() - scheduled:
        yield f"receipts that left and were never scheduled: {_some(foreign)}"
    succeeded = {str(job.args[0]) for job in facts.of(RECEIPT, JobState.SUCCESS)}
    if unsent := succeeded - facts.mailed.keys():
        yield f"receipts that succeeded and never left: {_some(unsent)}"


def _failed_for_a_reason(facts: Facts) -> Iterator[str]:
    """Transfers fail for an overdraft alone, actions for the death of their worker alone."""
    for name in (TRANSFER, RECEIPT, AUDIT):
        reason = WHY_FAILED.get(name, "WorkerLost")
        failed = facts.of(name, JobState.FAILED)
        if wrong := [job.id for job in failed if job.error is None or job.error.type != reason]:
            yield f"{name} failed, and not as {reason}: {_some(wrong)}"
        if reason == "WorkerLost" and (wrong := [job.id for job in failed if job.worker not in facts.killed]):
            yield f"{name} failed on a living worker: {_some(wrong)}"


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
