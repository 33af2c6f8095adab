"""Judges whether a history of transactions over lists is serializable.

After Adya ("Weak Consistency", 1999) and Elle (Kingsbury and Alvaro, VLDB 2020): the lists that were read give the
order of the writers of each key; that order gives who depends on whom; and a history is serializable if nobody depends
on himself. Three kinds of edges:

* `ww`: the first appended what the second appended behind;
* `wr`: the second read what the first appended;
* `rw`: the first read the list as it was just before the second appended to it.

What it finds, by Adya's names where there are any:

| kind | what happened |
|---|---|
| `fork` | two reads of a key agree on no order, or a value is there twice |
| `phantom value` | a value was read that nobody appended there |
| `lost append` | a committed append is not in the list at the end |
| `internal` | a transaction did not see its own appends, or saw what it had undone |
| `unrepeatable read` | a transaction saw a key in two states |
| `G1a` | an append was read that was undone or never committed |
| `G1b` | a read saw only the first of several appends of another |
| `G0` | a cycle of ww |
| `G1c` | a cycle of ww and wr |
| `lost update` | two appended to the same state of one key |
| `G-single` | a cycle with one rw: read skew |
| `G2` | a cycle with several rw: write skew |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from tests.serializability.cycles import MOST_TRIED, components, shortest_cycle, shortest_path
from tests.serializability.history import Transaction, appended
from tests.serializability.views import View, views

ALL = ("ww", "wr", "rw")


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that no serial order explains.

    Attributes:
        kind: As in the table above.
        story: What happened, for a person: for a cycle a line for each edge.
    """

    kind: str
    story: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.story}"


@dataclass(frozen=True, slots=True)
class Edge:
    """`first` came before `second`, because of `why`."""

    kind: str
    key: str
    first: str
    second: str
    why: str

    def __str__(self) -> str:
        return f"{self.first} --{self.kind} {self.key}--> {self.second}: {self.why}"


@dataclass(slots=True)
class Verdict:
    """What is wrong with a history, and how much there was to look at: `edges` has the number of each kind."""

    anomalies: list[Anomaly] = field(default_factory=list)
    edges: Counter[str] = field(default_factory=Counter)


def check(transactions: Sequence[Transaction], final: Mapping[str, Sequence[int]]) -> Verdict:
    """Judge a history.

    Args:
        transactions: All that may have touched the keys, whether they committed or not.
        final: Each key's list when all of them had ended.
    """
    writers = _Writers(transactions)
    seen, verdict = [], Verdict()
    for transaction in transactions:
        found, strange = views(transaction)
        seen += found
        verdict.anomalies += [Anomaly(kind, story) for kind, story in strange]
    orders = {key: tuple(values) for key, values in final.items()}
    verdict.anomalies += _check_orders(writers, orders, seen)
    if not verdict.anomalies:
        # Edges mean something only where the order of each key is certain.
        edges = list(_edges(writers, orders, seen))
        verdict.edges.update(edge.kind for edge in edges)
        verdict.anomalies += _check_cycles(edges)
    return verdict


class _Writers:
    """Who appended what: `of[key, value]` names the transaction, `effective` has what is to be there at the end."""

    def __init__(self, transactions: Iterable[Transaction]) -> None:
        self.of: dict[tuple[str, int], str] = {}
        self.effective: set[tuple[str, int]] = set()
        self.last: set[tuple[str, int]] = set()
        for transaction in transactions:
            last: dict[str, int] = {}
            for append, kept in appended(transaction.operations):
                if (append.key, append.value) in self.of:
                    raise ValueError(f"{append.value} is appended to {append.key} twice: the history cannot be judged")
                self.of[append.key, append.value] = transaction.name
                if kept and transaction.committed:
                    self.effective.add((append.key, append.value))
                    last[append.key] = append.value
            self.last.update(last.items())


def _check_orders(writers: _Writers, orders: Mapping[str, tuple[int, ...]], seen: Iterable[View]) -> Iterator[Anomaly]:
    for key, order in orders.items():
        if len(set(order)) < len(order):
            yield Anomaly("fork", f"a value is in {key} twice: {list(order)}")
        yield from _check_values(writers, key, order, "the end")
    there = {(key, value) for key, order in orders.items() for value in order}
    for key, value in sorted(writers.effective - there):
        yield Anomaly("lost append", f"{writers.of[key, value]} appended {value} to {key}, and it is not there")
    for view in seen:
        order = orders.get(view.key, ())
        yield from _check_values(writers, view.key, view.values, view.reader)
        if order[: len(view.values)] != view.values:
            yield Anomaly("fork", f"{view.reader} read {view.key} as {list(view.values)}, but it became {list(order)}")
        if view.values and _is_intermediate(writers, view):
            writer = writers.of[view.key, view.values[-1]]
            yield Anomaly("G1b", f"{view.reader} read {view.key} in the middle of what {writer} appended to it")


def _check_values(writers: _Writers, key: str, values: Iterable[int], reader: str) -> Iterator[Anomaly]:
    for value in values:
        writer = writers.of.get((key, value))
        if writer is None:
            yield Anomaly("phantom value", f"nobody appended {value} to {key}, and {reader} saw it")
        elif (key, value) not in writers.effective:
            yield Anomaly("G1a", f"{writer} never committed {value} to {key}, and {reader} saw it")


def _is_intermediate(writers: _Writers, view: View) -> bool:
    latest = (view.key, view.values[-1])
    return latest in writers.effective and latest not in writers.last


def _edges(writers: _Writers, orders: Mapping[str, tuple[int, ...]], seen: Iterable[View]) -> Iterator[Edge]:
    for key, order in orders.items():
        for value, following in pairwise(order):
            first, second = writers.of[key, value], writers.of[key, following]
            if first != second:
                yield Edge("ww", key, first, second, f"appended {following} behind {value}")
    for view in seen:
        order, length = orders.get(view.key, ()), len(view.values)
        if length > 0 and (writer := writers.of[view.key, order[length - 1]]) != view.reader:
            yield Edge("wr", view.key, writer, view.reader, f"read up to {order[length - 1]}")
        if length < len(order) and (writer := writers.of[view.key, order[length]]) != view.reader:
            yield Edge("rw", view.key, view.reader, writer, f"appended {order[length]} to what the other had read")


def _check_cycles(edges: Iterable[Edge]) -> Iterator[Anomaly]:
    """One cycle for each knot of transactions, the plainest that it holds."""
    by_ends: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        by_ends.setdefault((edge.first, edge.second), []).append(edge)
    for knot in components(_graph(by_ends, ALL)):
        members = set(knot)
        yield _plainest_cycle({ends: between for ends, between in by_ends.items() if members.issuperset(ends)})


def _plainest_cycle(by_ends: Mapping[tuple[str, str], Sequence[Edge]]) -> Anomaly:
    for kind, kinds in (("G0", ("ww",)), ("G1c", ("ww", "wr"))):
        graph = _graph(by_ends, kinds)
        knots = components(graph)
        if knots:
            return _tell(kind, shortest_cycle(graph, knots[0]), by_ends, kinds)
    # No cycle without rw is left. With one: back from its end to its start over the others alone.
    forward = _graph(by_ends, ("ww", "wr"))
    backs = ((start, shortest_path(forward, end, start)) for start, end in _ends(by_ends, ("rw",)))
    closed = list(islice(([start, *back] for start, back in backs if back is not None), MOST_TRIED))
    if closed:
        return _tell("G-single", min(closed, key=len), by_ends, ALL)
    everything = _graph(by_ends, ALL)
    return _tell("G2", shortest_cycle(everything, list(everything)), by_ends, ALL)


def _tell(
    kind: str, cycle: Sequence[str], by_ends: Mapping[tuple[str, str], Sequence[Edge]], kinds: Sequence[str]
) -> Anomaly:
    edges = [
        min((edge for edge in by_ends[ends] if edge.kind in kinds), key=lambda edge: kinds.index(edge.kind))
        for ends in pairwise(cycle)
    ]
    if kind == "G-single" and len(edges) == 2 and _is_lost_update(by_ends, cycle):
        kind = "lost update"
    lines = "".join(f"\n  {edge}" for edge in edges)
    return Anomaly(kind, f"a cycle of {len(edges)} transactions{lines}")


def _is_lost_update(by_ends: Mapping[tuple[str, str], Sequence[Edge]], cycle: Sequence[str]) -> bool:
    there, back = (tuple(ends) for ends in pairwise(cycle))
    overwritten = {edge.key for edge in by_ends[there[0], there[1]] if edge.kind == "rw"}
    return any(edge.kind == "ww" and edge.key in overwritten for edge in by_ends[back[0], back[1]])


def _ends(by_ends: Mapping[tuple[str, str], Sequence[Edge]], kinds: Sequence[str]) -> list[tuple[str, str]]:
    return [ends for ends, edges in by_ends.items() if any(edge.kind in kinds for edge in edges)]


def _graph(by_ends: Mapping[tuple[str, str], Sequence[Edge]], kinds: Sequence[str]) -> dict[str, list[str]]:
    graph: dict[str, list[str]] = {}
    for first, second in _ends(by_ends, kinds):
        graph.setdefault(first, []).append(second)
    return graph
