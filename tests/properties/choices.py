"""What a machine draws; the strategies are made once, for to make one costs more than to draw from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

_COIN = st.booleans()


@cache
def _indexes(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


@cache
def _lists(count: int, least: int, most: int, *, unique: bool) -> st.SearchStrategy[list[int]]:
    return st.lists(_indexes(count), min_size=least, max_size=most, unique=unique)


def choose(data: st.DataObject, pool: Sequence[T], label: str) -> T:
    """One of them; the first is the simplest."""
    return pool[data.draw(_indexes(len(pool)), label)]


def choose_some(
    data: st.DataObject, pool: Sequence[T], label: str, *, least: int = 0, most: int, unique: bool = False
) -> list[T]:
    """Between `least` and `most` of them."""
    return [pool[i] for i in data.draw(_lists(len(pool), least, most, unique=unique), label)]


def toss(data: st.DataObject, label: str) -> bool:
    """Yes one time in two; no is the simpler."""
    return data.draw(_COIN, label)


def one_time_in(data: st.DataObject, count: int, label: str) -> bool:
    """Whether it is that one time, which is the simplest."""
    return data.draw(_indexes(count), label) == 0
