"""What the demo found in Redis, and whether the promises were kept. No input or output here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler import Job, JobState

PLACE, RECEIPT = "shop:place_order", "shop:send_receipt"
UNFINISHED = (JobState.PENDING, JobState.IN_PROGRESS)

Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Facts:
    """The end of a run.

    Attributes:
        lines: Of the input.
        refused: Why the command line refused a line, by its number.
        jobs: Every record.
        orders: Order documents by order id.
        accounts: Account documents by customer.
        held: Jobs that the killed worker had in its hands.
        killed: That worker's name.
    """

    lines: Sequence[str]
    refused: Mapping[int, str]
    jobs: Sequence[Job]
    orders: Documents
    accounts: Documents
    held: Sequence[str] = ()
    killed: str = ""

    def of(self, name: str, *states: JobState) -> list[Job]:
        """The jobs of a function, in one of these states if any is given."""
        return [job for job in self.jobs if job.name == name and (not states or job.state in states)]

    @property
    def placed(self) -> list[Job]:
        return self.of(PLACE, JobState.SUCCESS)

    @property
    def cents(self) -> int:
        """What all placed orders cost."""
        return sum(int(arguments(job)["cents"]) for job in self.placed)

    @property
    def charged(self) -> int:
        """What all accounts were charged."""
        return sum(int(account["balance"]) for account in self.accounts.values())


def arguments(job: Job) -> dict[str, Any]:
    """The arguments of an order or a receipt by name."""
    names = ("order_id", "cents", "customer", "wrap_s")
    return {"customer": "guest", **dict(zip(names, job.args, strict=False)), **job.kwargs}


def broken(facts: Facts) -> list[str]:
    """The promises that were not kept, in words; none if all is well."""
    return [
        *_all_ended(facts),
        *_accepted_once(facts),
        *_placed_once(facts),
        *_charged_once(facts),
        *_receipts_at_most_once(facts),
        *_failed_for_a_reason(facts),
    ]


def _all_ended(facts: Facts) -> Iterator[str]:
    left = [job.id for job in facts.jobs if job.state in UNFINISHED]
    if left:
        yield f"{len(left)} jobs never ended: {_some(left)}"
    unfinished = {job.id for job in facts.jobs if not job.state.final}
    lost = set(facts.held) - {job.id for job in facts.jobs} | set(facts.held) & unfinished
    if lost:
        yield f"lost with the killed worker: {_some(lost)}"


def _accepted_once(facts: Facts) -> Iterator[str]:
    """One job for each idempotency key in the lines that were not refused."""
    accepted = [json.loads(line) for number, line in enumerate(facts.lines, 1) if number not in facts.refused]
    wanted = {entry["args"]["order_id"] for entry in accepted}
    found = Counter(arguments(job)["order_id"] for job in facts.of(PLACE))
    if twice := [order_id for order_id, count in found.items() if count > 1]:
        yield f"scheduled twice despite one key: {_some(twice)}"
    if lost := wanted - set(found):
        yield f"accepted and lost: {_some(lost)}"
    if foreign := set(found) - wanted:
        yield f"scheduled and never accepted: {_some(foreign)}"


def _placed_once(facts: Facts) -> Iterator[str]:
    """One document for each order that succeeded, none for any other (C3.1)."""
    placed = {arguments(job)["order_id"]: arguments(job) for job in facts.placed}
    if missing := placed.keys() - facts.orders.keys():
        yield f"succeeded without a document: {_some(missing)}"
    if extra := facts.orders.keys() - placed.keys():
        yield f"a document of an order that did not succeed: {_some(extra)}"
    both = placed.keys() & facts.orders.keys()
    if wrong := [one for one in both if facts.orders[one]["cents"] != placed[one]["cents"]]:
        yield f"documents with another price: {_some(wrong)}"


def _charged_once(facts: Facts) -> Iterator[str]:
    """Each account is what its placed orders add up to, and counts each of them once."""
    balances: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for job in facts.placed:
        given = arguments(job)
        balances[given["customer"]] += given["cents"]
        counts[given["customer"]] += 1
    for customer in sorted(balances.keys() | facts.accounts.keys()):
        account = facts.accounts.get(customer, {"balance": 0, "orders": 0})
        if (account["balance"], account["orders"]) != (balances[customer], counts[customer]):
            yield (
                f"account {customer}: charged {account['balance']} cents for {account['orders']} orders, "
                f"expected {balances[customer]} for {counts[customer]}"
            )


def _receipts_at_most_once(facts: Facts) -> Iterator[str]:
    """One receipt was scheduled with each placed order; it was sent once or, if its worker died, perhaps not (C3.5)."""
    if often := [one for one, order in facts.orders.items() if order["receipts"] > 1]:
        yield f"more than one receipt: {_some(often)}"
    receipts = {arguments(job)["order_id"]: job for job in facts.of(RECEIPT)}
    if len(receipts) != len(facts.of(RECEIPT)) or receipts.keys() != facts.orders.keys():
        yield f"{len(facts.of(RECEIPT))} receipts were scheduled for {len(facts.orders)} orders"
    unsent = [
        one
        for one, job in receipts.items()
        if job.state is JobState.SUCCESS and facts.orders.get(one, {"receipts": 1})["receipts"] != 1
    ]
    if unsent:
        yield f"receipts that succeeded and were not sent: {_some(unsent)}"


def _failed_for_a_reason(facts: Facts) -> Iterator[str]:
    """Orders fail for their price alone, receipts for the death of their worker alone."""
    if wrong := [job.id for job in facts.of(PLACE, JobState.FAILED) if arguments(job)["cents"] > 0]:
        yield f"orders that failed without fault: {_some(wrong)}"
    failed = facts.of(RECEIPT, JobState.FAILED)
    if wrong := [job.id for job in failed if job.error is None or job.error.type != "WorkerLost"]:
        yield f"receipts that failed for another reason: {_some(wrong)}"
    if wrong := [job.id for job in failed if job.worker != facts.killed]:
        yield f"receipts that failed on a living worker: {_some(wrong)}"


def _some(names: Sequence[str] | set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
