"""Which server: an explicit url, the environment, the app's, or the embedded server that runs in this directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.embedded import discover
from scheduler.errors import ConfigurationError
from scheduler.settings import url_from

if TYPE_CHECKING:
    from scheduler.app import App


def locate(app: App | None, url: str | None = None) -> str:
    """The server's url: given, else `REDIS_URL`, else the app's, else that of a running embedded server
    (`.duestream/`).

    Raises:
        ConfigurationError: None of them is there.
    """
    found = url or url_from() or (app.url if app is not None else None) or discover()
    if found is None:
        raise ConfigurationError(
            "no Redis server: pass --url or set REDIS_URL (redis://host:6379/0), in code pass url=, "
            "or start one for this directory with `duestream dev` or `duestream server`"
        )
    return found
