"""Urls as they may be shown: without the password, wherever it stands in them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

_HIDDEN = "***"


def redacted(url: str) -> str:
    """A url of a server for logs, messages and terminals.

    A password that was not percent-encoded may be cut anywhere by its own "/", "?" or "#"; then nothing but the scheme
    is shown.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return _HIDDEN
    user, at, host = parts.netloc.rpartition("@")
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{parts.scheme}://{_HIDDEN}"
    if ":" in user:
        user = f"{user.partition(':')[0]}:{_HIDDEN}"
    options = [(name, _HIDDEN if "password" in name.lower() else value) for name, value in parse_qsl(parts.query)]
    query = f"?{urlencode(options, safe='*/:')}" if options else ""
    return f"{parts.scheme}://{user}{at}{host}{parts.path}{query}"
