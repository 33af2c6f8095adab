"""A real server for all tests of faults, and a proxy before it for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy before the shared server, closed when the test is over."""
    with Proxy(url) as one:
        yield one
