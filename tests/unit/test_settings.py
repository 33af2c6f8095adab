"""Names, keys, numbers: what is taken and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from scheduler import settings
from scheduler.errors import InvalidOption
from worker.settings import WorkerSettings

NEVER: list[Any] = ["", None, 5, b"name", "a b", "{x}", "a\r\n", "a\n", "\0", "ä", "a*", "x" * 10_000, "\ud800", ["a"]]


@pytest.mark.parametrize(
    ("check", "good", "bad", "word"),
    [
        (settings.check_namespace, ["a", "shop-1_2.3", "x" * 64], ["x" * 65, "a:b", "a/b"], "namespace"),
        (settings.check_queue, ["a", "mail-1_2.3", "x" * 64], ["x" * 65, "a:b", "a/b"], "queue"),
        (
            settings.check_name,
            ["a", "shop:place", "a/b.c-d_e", "../x", "__import__", "x" * 200],
            ["x" * 201],
            "function",
        ),
    ],
)
def test_names(check: Callable[[object], str], good: list[str], bad: list[str], word: str) -> None:
    # C1.2
    for name in good:
        assert check(name) == name
    for wrong in [*NEVER, *bad]:
        with pytest.raises(InvalidOption, match=f"^{word}: expected ") as caught:
            check(wrong)
        assert len(str(caught.value)) < 220


def test_idempotency_keys() -> None:
    # C2.10
    for good in ("a", "bill/2026-11 für Ada", "{x}", "x" * 200, "ä" * 100, "../*"):
        assert settings.check_key(good) == good
    bad: list[Any] = ["", None, 5, b"a", "a\r\nb", "\0", "x" * 201, "ä" * 101, "\ud800", "\u2028", "x" * 10_000]
    for wrong in bad:
        with pytest.raises(InvalidOption, match=r"^idempotency_key: expected "):
            settings.check_key(wrong)


def test_numbers_of_at_least_zero() -> None:
    for good in (0, 0.0, 5, 1e9):
        assert settings.at_least_zero("keep_s", good) == good
    bad: list[Any] = [-1, -0.1, math.nan, math.inf, True, "5", None, 5j]
    for wrong in bad:
        with pytest.raises(InvalidOption, match=r"^keep_s: expected a number of at least 0"):
            settings.at_least_zero("keep_s", wrong)


def test_exception_classes() -> None:
    # C3.3
    assert settings.check_exceptions((KeyError, OSError)) == (KeyError, OSError)
    bad: list[Any] = [KeyError, [KeyError], (KeyError(),), ("KeyError",), (BaseException,), (int,), None]
    for wrong in bad:
        with pytest.raises(InvalidOption, match=r"^transient: expected "):
            settings.check_exceptions(wrong)


def test_the_environment_names_the_server() -> None:
    assert settings.url_from({"REDIS_URL": "redis://h:1/0"}) == "redis://h:1/0"
    assert settings.url_from({"REDIS_URL": ""}) is None
    assert settings.url_from({}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"queues": ()}, {"queues": ("a", "a")}, {"queues": ("{x}",)}, {"concurrency": 0}, {"concurrency": 10_001},
        {"concurrency": True}, {"lease_ms": 999}, {"lease_ms": 3_600_001}, {"max_deliveries": 0}, {"grace_s": -1},
        {"grace_s": math.nan}, {"burst": "no"}, {"promote": 1}, {"keeper": "no"}, {"vouch_fsync": "no"},
    ],
    ids=repr,
)  # fmt: skip
def test_worker_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="|".join(["^queue", *(f"^{name}: expected" for name in wrong)])):
        WorkerSettings(**wrong)


def test_each_worker_has_a_name_of_its_own() -> None:
    assert WorkerSettings().name != WorkerSettings().name
