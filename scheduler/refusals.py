"""What the errors of the client library mean: what is lost or passes is tried again, the rest is somebody's to mend."""

from __future__ import annotations

from typing import Any, NoReturn

import redis
import redis.asyncio
from redis import exceptions

from scheduler.attempts import Limit
from scheduler.errors import ConfigurationError, DamagedData, DuestreamError, QueueFull, Unavailable

CONNECTION_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
"""What `execute` raises when no answer came."""

ServerError = exceptions.ResponseError
"""What `execute` raises when the server refused a command."""


class DamagedKey(DamagedData, exceptions.ResponseError):
    """The server refused a call because of what a key holds: still one of its own errors, and one of ours."""


class Refused(DuestreamError, exceptions.ResponseError):
    """The server refused a call for a reason that nobody foresaw."""


def server_of(client: redis.Redis | redis.asyncio.Redis) -> str:
    """What to call the server in messages: its address, and nothing else of its url."""
    known: dict[str, Any] = client.connection_pool.connection_kwargs
    return str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")


def sort_error(error: Exception, client: redis.Redis | redis.asyncio.Redis, limit: Limit) -> NoReturn:
    """Sort the client's errors: what passes with time is `Unavailable`; what does not is ours or an operator's to mend.

    All are of our tree; a refusal stays a `ServerError` too.
    """
    if isinstance(error, Refused | DamagedKey):
        raise error
    text = str(error)
    if isinstance(error, _REFUSED) or any(word in text for word in _DENIED):
        raise ConfigurationError(f"Redis refused the credentials or lacks a permission: {text}") from error
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command not allowed" in text:
        raise QueueFull("Redis is out of memory and takes no new jobs; nothing was stored") from error
    if isinstance(error, CONNECTION_LOST) or _passes(error):
        server, why = server_of(client), f": {text}" if text else ""
        within = f" within {limit.whole_s:g} s" if limit.patient or not text else ""
        raise Unavailable(f"Redis at {server} did not answer{within}{why}") from error
    if isinstance(error, ServerError) and any(word in text for word in _DAMAGED):
        raise DamagedKey(f"a key does not hold what duestream wrote there (see duestream doctor): {text}") from error
    raise Refused(text) from error


_REFUSED = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
_DENIED = ("ACL failure in script", "The user executing the script can't")
_DAMAGED = ("WRONGTYPE", "is damaged", "not an integer", "not a valid float", "wrong kind of value")
_PASSING = (exceptions.ReadOnlyError, exceptions.ClusterDownError, exceptions.MasterDownError, exceptions.TryAgainError)
_PASSING_WORDS = ("READONLY", "BUSY ", "MISCONF", "NOREPLICAS", "UNBLOCKED")
"""Where the client has a class for an error, it takes the first word off the text."""


def _passes(error: Exception) -> bool:
    return isinstance(error, _PASSING) or any(word in str(error) for word in _PASSING_WORDS)


def worth_repeating(error: Exception, limit: Limit) -> bool:
    """Whether the store itself sends a command again. What Redis refuses for a while a worker waits for elsewhere."""
    if isinstance(error, _REFUSED):
        return False
    return isinstance(error, CONNECTION_LOST) or (limit.patient and _passes(error))
