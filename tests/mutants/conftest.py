"""The server of the tests of transitions; the runs within a test start their own."""

from __future__ import annotations

from tests.transitions.conftest import client, real_world, server_url

__all__ = ["client", "real_world", "server_url"]
