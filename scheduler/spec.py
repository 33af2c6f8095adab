"""The spec of a job: what was asked. Written by the scripts (`lua/include/spec.lua`), read here."""

from __future__ import annotations

from typing import Any, NamedTuple

from scheduler import values
from scheduler.errors import InvalidValue


class Spec(NamedTuple):
    """What was asked; never changes. Times are epoch milliseconds; `parent` and `key` are '' where there is none."""

    created_ms: int
    scheduled_ms: int
    queue: str
    name: str
    kind: str
    parent: str
    key: str
    args: list[Any]
    kwargs: dict[str, Any]

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
        if not isinstance(fields, list) or not fields or fields[0] != "1":
            raise InvalidValue("spec: damaged, or written by a version of duestream that this one does not know")
        try:
            _, created, scheduled, queue, name, kind, parent, key, args, kwargs = fields
            spec = cls(int(created), int(scheduled), queue, name, kind, parent, key, args, kwargs)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise InvalidValue(f"spec: damaged: {error}") from error
        texts = (created, scheduled, queue, name, kind, parent, key)
        if not (all(type(text) is str for text in texts) and type(args) is list and type(kwargs) is dict):
            raise InvalidValue("spec: damaged: a field of the wrong type")
        return spec
