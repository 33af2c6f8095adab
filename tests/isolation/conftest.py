"""The app of `shop.py` on a real server, under a namespace of the test's own, with a worker in its event loop."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from scheduler import App

MODULE = "tests.isolation.shop"


@pytest.fixture
def app(namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The shop, imported anew: cells import it too, and have to find the same namespace."""
    monkeypatch.setenv("ISOLATION_NAMESPACE", namespace)
    sys.modules.pop(MODULE, None)
    found = importlib.import_module(MODULE).app
    assert isinstance(found, App)
    yield found
    sys.modules.pop(MODULE, None)
