"""What `import scheduler` offers: every name is there, once, and nothing else is found (style.md)."""

from __future__ import annotations

import pytest

import scheduler


def test_every_public_name_is_found() -> None:
    assert sorted(set(scheduler.__all__)) == sorted(scheduler.__all__)
    for name in scheduler.__all__:
        assert getattr(scheduler, name) is not None
    assert set(scheduler.__all__) <= set(dir(scheduler))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Databse'"):
        scheduler.Databse  # noqa: B018
