"""The checker is not blind: each anomaly in a history made by hand, and histories that are in order."""

from __future__ import annotations

import random

import pytest

from tests.serializability.checker import Verdict, check
from tests.serializability.cycles import components
from tests.serializability.history import Append, Nested, Operation, Read, Transaction


def t(name: str, *operations: Operation, committed: bool = True) -> Transaction:
    return Transaction(name, operations, committed)


def r(key: str, *values: int) -> Read:
    return Read(key, values)


def a(key: str, value: int) -> Append:
    return Append(key, value)


def undone(*operations: Operation) -> Nested:
    return Nested(operations, undone=True)


def kinds(verdict: Verdict) -> set[str]:
    return {anomaly.kind for anomaly in verdict.anomalies}


CLEAN: dict[str, tuple[list[Transaction], dict[str, list[int]]]] = {
    "nothing": ([], {}),
    "one after another": (
        [t("A", r("x"), a("x", 1)), t("B", r("x", 1), a("x", 2), r("x", 1, 2)), t("C", r("x", 1, 2))],
        {"x": [1, 2]},
    ),
    "told in another order": ([t("C", r("x", 1)), t("B", r("x"), r("y")), t("A", a("x", 1))], {"x": [1]}),
    "several appends of one": ([t("A", a("x", 1), a("x", 2)), t("B", r("x", 1, 2))], {"x": [1, 2]}),
    "a failure": ([t("A", r("x"), a("x", 1), r("x", 1), committed=False), t("B", r("x"))], {"x": []}),
    "undone and caught": ([t("A", undone(a("x", 1), r("x", 1)), r("x"), a("x", 2), r("x", 2))], {"x": [2]}),
    "nested and kept": ([t("A", Nested((a("x", 1),), undone=False), r("x", 1)), t("B", r("x", 1))], {"x": [1]}),
    "undone around kept": ([t("A", undone(Nested((a("x", 1),), undone=False), r("x", 1)), r("x"))], {}),
    "a reader between": (
        [t("A", r("x"), a("x", 1)), t("R", r("x", 1), r("y")), t("B", r("x", 1), a("y", 2))],
        {"x": [1], "y": [2]},
    ),
}

BROKEN: dict[str, tuple[str, list[Transaction], dict[str, list[int]]]] = {
    "two orders of two writers": (
        "G0",
        [t("A", a("x", 1), a("y", 2)), t("B", a("x", 3), a("y", 4))],
        {"x": [1, 3], "y": [4, 2]},
    ),
    "an append between two of another": ("G0", [t("A", a("x", 1), a("x", 3)), t("B", a("x", 2))], {"x": [1, 2, 3]}),
    "what a failure appended is read": (
        "G1a",
        [t("A", a("x", 1), committed=False), t("B", r("x", 1))],
        {"x": [1]},
    ),
    "what a failure appended is there at the end": ("G1a", [t("A", a("x", 1), committed=False)], {"x": [1]}),
    "what was undone is read by others": ("G1a", [t("A", undone(a("x", 1))), t("B", r("x", 1))], {"x": [1]}),
    "what was undone is read by itself": ("G1a", [t("A", undone(a("x", 1)), r("x", 1))], {"x": []}),
    "what a kept one in an undone one appended is there": (
        "G1a",
        [t("A", undone(Nested((a("x", 1),), undone=False)))],
        {"x": [1]},
    ),
    "half of another's appends": ("G1b", [t("A", a("x", 1), a("x", 2)), t("B", r("x", 1))], {"x": [1, 2]}),
    "each read the other": (
        "G1c",
        [t("A", a("x", 1), r("y", 2)), t("B", a("y", 2), r("x", 1))],
        {"x": [1], "y": [2]},
    ),
    "read what was appended behind": (
        "G1c",
        [t("A", a("x", 1), r("y", 3)), t("B", a("x", 2), a("y", 3))],
        {"x": [1, 2], "y": [3]},
    ),
    "two appended to one state": (
        "lost update",
        [t("A", r("x"), a("x", 1)), t("B", r("x"), a("x", 2))],
        {"x": [1, 2]},
    ),
    "an update on an older state": (
        "lost update",
        [t("A", a("x", 1)), t("B", r("x", 1), a("x", 2)), t("C", r("x", 1), a("x", 3))],
        {"x": [1, 2, 3]},
    ),
    "an update that erased another": (
        "lost append",
        [t("A", r("x"), a("x", 1)), t("B", r("x"), a("x", 2))],
        {"x": [2]},
    ),
    "an append that came twice": ("fork", [t("A", a("x", 1))], {"x": [1, 1]}),
    "reads that agree on no order": (
        "fork",
        [t("A", a("x", 1)), t("B", a("x", 2)), t("C", r("x", 1)), t("D", r("x", 2))],
        {"x": [1, 2]},
    ),
    "a value from nowhere": ("phantom value", [t("A", r("x", 9))], {"x": [9]}),
    "a value of another key": ("phantom value", [t("A", a("y", 9))], {"x": [9], "y": [9]}),
    "half of a commit": (
        "G-single",
        [t("A", a("x", 1), a("y", 2)), t("R", r("x", 1), r("y"))],
        {"x": [1], "y": [2]},
    ),
    "a failure that half saw a commit": (
        "G-single",
        [t("A", a("x", 1), a("y", 2)), t("R", r("x"), r("y", 2), committed=False)],
        {"x": [1], "y": [2]},
    ),
    "half of a commit, seen through a third": (
        "G-single",
        [t("A", a("x", 1), a("z", 2)), t("B", r("z", 2), a("y", 3)), t("R", r("y", 3), r("x"))],
        {"x": [1], "y": [3], "z": [2]},
    ),
    "write skew": (
        "G2",
        [t("A", r("x"), r("y"), a("x", 1)), t("B", r("x"), r("y"), a("y", 2))],
        {"x": [1], "y": [2]},
    ),
    "write skew of three": (
        "G2",
        [t("A", r("y"), a("x", 1)), t("B", r("z"), a("y", 2)), t("C", r("x"), a("z", 3))],
        {"x": [1], "y": [2], "z": [3]},
    ),
    "two readers that saw two orders": (
        "G2",
        [t("A", a("x", 1)), t("B", a("y", 2)), t("P", r("x", 1), r("y")), t("Q", r("x"), r("y", 2))],
        {"x": [1], "y": [2]},
    ),
    "its own append is not seen": ("internal", [t("A", a("x", 1), r("x"))], {"x": [1]}),
    "its own appends in another order": ("internal", [t("A", a("x", 1), a("x", 2), r("x", 2, 1))], {"x": [1, 2]}),
    "two states of one key": (
        "unrepeatable read",
        [t("A", a("x", 1)), t("R", r("x"), r("x", 1))],
        {"x": [1]},
    ),
    "two states under its own append": (
        "unrepeatable read",
        [t("A", a("x", 1)), t("R", r("x"), a("x", 2), r("x", 1, 2))],
        {"x": [1, 2]},
    ),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_history_in_order_is_left_alone(name: str) -> None:
    transactions, final = CLEAN[name]
    for told in (transactions, transactions[::-1]):
        assert check(told, final).anomalies == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_anomaly_is_found_and_named(name: str) -> None:
    kind, transactions, final = BROKEN[name]
    for told in (transactions, transactions[::-1]):
        assert kind in kinds(check(told, final))


def test_every_anomaly_of_the_table_has_a_history() -> None:
    table = {
        line.split("|")[1].strip(" `") for line in (check.__globals__["__doc__"] or "").splitlines() if "| `" in line
    }
    assert {kind for kind, _, _ in BROKEN.values()} == table


def test_a_cycle_is_told_edge_by_edge() -> None:
    _, transactions, final = BROKEN["write skew"]
    (anomaly,) = check(transactions, final).anomalies
    assert str(anomaly).splitlines() == [
        "G2: a cycle of 2 transactions",
        "  A --rw y--> B: appended 2 to what the other had read",
        "  B --rw x--> A: appended 1 to what the other had read",
    ]


def test_a_value_appended_twice_makes_a_history_that_nobody_can_judge() -> None:
    with pytest.raises(ValueError, match="appended to x twice"):
        check([t("A", a("x", 1)), t("B", a("x", 1))], {"x": [1]})


def random_serial(random_: random.Random, count: int) -> tuple[list[Transaction], dict[str, list[int]]]:
    """A history made by running transactions one after another."""
    lists: dict[str, list[int]] = {key: [] for key in "uvwxyz"}
    history = []
    for n in range(count):
        operations: list[Operation] = []
        for step in range(random_.randint(1, 5)):
            key = random_.choice("uvwxyz")
            operations.append(Read(key, tuple(lists[key])))
            if random_.random() < 0.5:
                lists[key].append(n * 10 + step)
                operations.append(Append(key, n * 10 + step))
        history.append(Transaction(f"T{n}", tuple(operations)))
    return history, lists


@pytest.mark.parametrize("seed", range(20))
def test_a_serial_history_is_serializable_and_one_stale_read_in_it_is_found(seed: int) -> None:
    random_ = random.Random(seed)
    history, final = random_serial(random_, 200)
    random_.shuffle(history)
    assert check(history, final).anomalies == []
    # One that appends to a key had seen less of it than was there.
    stale = next(one for one in history if _read_then_appended(one))
    at, read = _read_then_appended(stale)[0]
    older = Read(read.key, read.values[:-1])
    operations = (*stale.operations[:at], older, *stale.operations[at + 1 :])
    history[history.index(stale)] = Transaction(stale.name, operations)
    assert kinds(check(history, final)) & {"lost update", "G-single", "G1b", "unrepeatable read"}


def _read_then_appended(one: Transaction) -> list[tuple[int, Read]]:
    return [
        (at, operation)
        for at, operation in enumerate(one.operations[:-1])
        if isinstance(operation, Read)
        and operation.values
        and isinstance(one.operations[at + 1], Append)
        and not any(isinstance(before, Read) and before.key == operation.key for before in one.operations[:at])
    ]


def test_components_of_a_long_ring_and_a_long_chain() -> None:
    # Long enough to end any recursion.
    size = 20_000
    ring = {str(n): [str((n + 1) % size)] for n in range(size)}
    assert [len(component) for component in components(ring)] == [size]
    chain = {str(n): [str(n + 1)] for n in range(size)}
    assert components(chain) == []


@pytest.mark.parametrize("seed", range(50))
def test_components_are_those_that_reach_each_other(seed: int) -> None:
    random_ = random.Random(seed)
    nodes = [str(n) for n in range(12)]
    graph = {node: random_.sample(nodes, random_.randint(0, 2)) for node in nodes}
    reach = {node: _reached(graph, node) for node in nodes}
    expected = {frozenset(n for n in nodes if n in reach[node] and node in reach[n]) for node in nodes}
    assert {frozenset(one) for one in components(graph)} == {one for one in expected if len(one) > 1}


def _reached(graph: dict[str, list[str]], start: str) -> set[str]:
    seen, waiting = set[str](), [start]
    while waiting:
        for target in graph[waiting.pop()]:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen
