"""The spec of a job: what was asked. Written by the scripts (`lua/include/spec.lua`), read here.

Where the app has keys, a body and its cover stand in the place of args and kwargs:

* body, a bin: args and kwargs one after the other, or these encrypted (`encryption.py`);
* cover, a list: empty, or when it may run at the earliest (epoch ms) and the signature (`signing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from scheduler import values
from scheduler.errors import InvalidValue
from scheduler.settings import DEFAULT_QUEUE

_VERSION: Final = "2"
_MOST_DIGITS: Final = 20
_LETTERS: Final[Mapping[str, str]] = {"mutation": "m", "action": "a"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}


def pack_head(queue: str, name: str, kind: str, parent: str, key: str) -> bytes:
    """The spec from the queue to the idempotency key, as it is stored: '' for the default queue, a letter for a kind.

    Few bytes matter here: one more than fit in an allocation of the server's costs the next larger one, for each job.
    """
    return _packed(("" if queue == DEFAULT_QUEUE else queue), name, _LETTERS.get(kind, kind), parent) + (
        values.pack(key, "spec") if key else _NO_KEY
    )


@lru_cache(maxsize=1024)
def _packed(*texts: str) -> bytes:
    """The same for all jobs of a function, as long as nobody schedules them but one client or one job."""
    return b"".join([values.pack(text, "spec") for text in texts])


_NO_KEY: Final = values.pack("", "spec")


class Spec(NamedTuple):
    """What was asked; never changes. Times are epoch milliseconds; `parent` and `key` are '' where there is none.

    With a `body`, `args` and `kwargs` are empty until `envelope.disclose` has opened it.
    """

    created_ms: int
    scheduled_ms: int
    queue: str
    name: str
    kind: str
    parent: str
    key: str
    args: list[Any]
    kwargs: dict[str, Any]
    body: bytes | None = None
    cover: tuple[int, bytes] | tuple[()] = ()

    def head(self) -> bytes:
        """The spec from the queue to the idempotency key, as it is stored."""
        return pack_head(self.queue, self.name, self.kind, self.parent, self.key)

    @classmethod
    def unpack(cls, data: bytes) -> Spec:
        """Read a spec.

        Raises:
            InvalidValue: It is damaged, or of a version this code does not know.
        """
        try:
            fields = values.unpack(data)
        except InvalidValue as error:
            raise InvalidValue(f"spec: damaged: {error}") from error
        if not isinstance(fields, list) or not fields or fields[0] != _VERSION:
            raise InvalidValue("spec: damaged, or written by a version of duestream that this one does not know")
        try:
            _, created, delay, queue, name, kind, parent, key, args, kwargs = fields
            created_ms = _whole(created)
            scheduled_ms = created_ms + _whole(delay)
            asked = queue or DEFAULT_QUEUE, name, _KINDS.get(kind) or kind, parent, key
            spec = cls(created_ms, scheduled_ms, *asked, args, kwargs)
        except (TypeError, ValueError) as error:
            raise InvalidValue(f"spec: damaged: {error}") from error
        if not (str is type(queue) is type(name) is type(kind) is type(parent) is type(key)):
            raise InvalidValue("spec: damaged: a field of the wrong type")
        if type(args) is bytes and type(kwargs) is list:
            return spec._replace(args=[], kwargs={}, body=args, cover=_cover(kwargs))
        if type(args) is not list or type(kwargs) is not dict:
            raise InvalidValue("spec: damaged: a field of the wrong type")
        return spec


def _cover(fields: list[Any]) -> tuple[int, bytes] | tuple[()]:
    if not fields:
        return ()
    if len(fields) != 2 or type(fields[0]) is not int or not isinstance(fields[1], bytes):
        raise InvalidValue("spec: damaged: its cover")
    return fields[0], fields[1]


def _whole(text: object) -> int:
    if not (type(text) is str and len(text) <= _MOST_DIGITS and text.isascii() and text.removeprefix("-").isdecimal()):
        raise ValueError(f"not a number of ms: {text!r:.60}")
    return int(text)
