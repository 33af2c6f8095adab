"""The server of the tests of transitions; one for all."""

from __future__ import annotations

from tests.transitions.conftest import client, server_url

__all__ = ["client", "server_url"]
