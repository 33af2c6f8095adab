"""Many calls from NDJSON: read line by line, checked, and scheduled in bounded batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from scheduler import operations
from scheduler.call import Call
from scheduler.cli.moments import parse_duration, parse_timestamp
from scheduler.cli.output import shorten
from scheduler.cli.signature import Arguments, Signature, Signatures
from scheduler.due import Delay, Timestamp
from scheduler.errors import DuestreamError, InvalidArguments, InvalidCall, InvalidDelay, Unavailable
from scheduler.function import call_after, call_at
from scheduler.operations import Producer, Steps
from scheduler.script_call import Word
from scheduler.transitions import schedule

if TYPE_CHECKING:
    from scheduler.cli.session import Session

MOST_LINE: Final = 64 * 1024 * 1024
_FIELDS: Final = frozenset({"function", "args", "after", "at", "queue", "key"})
_READ: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every line that says nothing else."""

    function: str | None = None
    after: Delay | None = None
    at: Timestamp | None = None
    queue: str | None = None
    key: str | None = None
    allow_unknown: bool = False


@dataclass(slots=True)
class Feed:
    """Schedules the calls of one input.

    Attributes:
        session: The app and its server.
        defaults: For what lines leave out.
        complain: Told the number of a bad line, and why.
        scheduled, duplicates, refused: Lines so far. A duplicate has an idempotency key that is taken.
        queues: Where they wait.
    """

    session: Session
    defaults: Defaults
    complain: Callable[[int, str], None]
    scheduled: int = 0
    duplicates: int = 0
    refused: int = 0
    queues: set[str] = field(default_factory=set)
    signatures: Signatures = field(init=False)
    _batch: list[tuple[int, Call]] = field(default_factory=list)
    _bytes: int = 0

    def __post_init__(self) -> None:
        self.signatures = Signatures(self.session, allow_unknown=self.defaults.allow_unknown)

    def run(self, stream: IO[bytes], advance: Callable[[int], None]) -> None:
        """Read the whole input; `advance` is told the bytes of each line.

        Raises:
            Unavailable: Redis did not answer. What the counts say was scheduled, and perhaps the batch after it.
        """
        for number, line, size in lines(stream):
            try:
                if line is None:
                    raise InvalidCall(f"longer than {MOST_LINE:,} bytes")
                if line.strip():
                    self._add(number, read_call(line.strip(), self.defaults, self.signatures))
            except Unavailable:
                raise
            except DuestreamError as error:
                self._refuse(number, error)
            advance(size)
        self._flush()

    def _add(self, number: int, call: Call) -> None:
        size = len(call.packed_args)
        if self._batch and (len(self._batch) == operations.BATCH_JOBS or self._bytes + size > operations.BATCH_BYTES):
            self._flush()
        self._batch.append((number, call))
        self._bytes += size

    def _flush(self) -> None:
        batch, self._batch, self._bytes = self._batch, [], 0
        if batch:
            self._send(batch)

    def _send(self, batch: list[tuple[int, Call]]) -> None:
        """Schedule a batch; a call that is refused is found by halving, so that the others do not fall with it."""
        try:
            words = self.session.store.drive(send(self.session.producer, [call for _, call in batch], self.queues))
        except Unavailable:
            raise
        except DuestreamError as error:
            if len(batch) == 1:
                self._refuse(batch[0][0], error)
            else:
                middle = len(batch) // 2
                self._send(batch[:middle])
                self._send(batch[middle:])
            return
        taken = sum(word is Word.KEY for word, _ in words)
        self.duplicates += taken
        self.scheduled += len(words) - taken

    def _refuse(self, number: int, error: DuestreamError) -> None:
        self.refused += 1
        self.complain(number, shorten(str(error), 300))


def send(producer: Producer, calls: list[Call], queues: set[str]) -> Steps[list[tuple[Word, str]]]:
    """Schedule calls; for each what `schedule` answered, and the job's id. Their queues are added to `queues`.

    Raises:
        UnknownFunction, InvalidTimestamp, LimitExceeded: One of them is wrong; nothing was sent.
    """
    replies: list[tuple[Word, str]] = []
    for batch in operations.chunks((yield from operations.prepare(producer, calls))):
        replies += yield schedule(batch)
        queues.update(request.queue for request in batch)
    return replies


def lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None, int]]:
    """Each line with its number from 1 and its size; None for one that is too long, which is passed over."""
    number = 0
    while line := stream.readline(MOST_LINE):
        number += 1
        size = len(line)
        if size == MOST_LINE and not line.endswith(b"\n"):
            while (more := stream.readline(_READ)) and not more.endswith(b"\n"):
                size += len(more)
            yield number, None, size + len(more)
        else:
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, size


def read_call(line: bytes, defaults: Defaults, signatures: Signatures) -> Call:
    """The call that a line means.

    Raises:
        InvalidCall, UnknownFunction: Naming what is wrong.
    """
    found = _read_object(line)
    name = found.get("function", defaults.function)
    if not isinstance(name, str):
        raise InvalidCall("function: missing" if name is None else f"function: expected a name, got {name!r:.60}")
    signature = signatures.find(name)
    after, at = _when(found, defaults)
    arguments = read_arguments(found.get("args", {}), signature)
    queue, key = found.get("queue", defaults.queue), found.get("key", defaults.key)
    return make_call(signature, arguments, Defaults(None, after, at, queue, key, defaults.allow_unknown))


def read_arguments(given: object, signature: Signature) -> Arguments:
    """Arguments from JSON, an object by name or an array by position, checked as far as the signature is known.

    Raises:
        InvalidArguments: They do not fit.
    """
    if not isinstance(given, dict | list):
        raise InvalidArguments(f"args: expected an object or an array, got {given!r:.60}")
    arguments: Arguments = (tuple(given), {}) if isinstance(given, list) else ((), given)
    signature.check(*arguments)
    return arguments


def make_call(signature: Signature, arguments: Arguments, chosen: Defaults) -> Call:
    """Check and pack a call; nothing is sent.

    Raises:
        InvalidCall: Naming what is wrong.
    """
    args, kwargs = arguments
    if chosen.at is not None:
        call = call_at(chosen.at, signature.function, args, kwargs)
    else:
        call = call_after(0 if chosen.after is None else chosen.after, signature.function, args, kwargs)
    return call.using(queue=chosen.queue, idempotency_key=chosen.key, allow_unknown=chosen.allow_unknown)


def _read_object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidCall(f"not UTF-8: byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise InvalidCall(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # an int of 5,000 digits, 10,000 brackets
        raise InvalidCall(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidCall(f"expected an object, got {found!r:.60}")
    if unknown := sorted(found.keys() - _FIELDS):
        raise InvalidCall(f"{unknown[0]:.60}: unknown field (expected {', '.join(sorted(_FIELDS))})")
    return found


def _when(found: dict[str, Any], defaults: Defaults) -> tuple[Delay | None, Timestamp | None]:
    after, at = found.get("after"), found.get("at")
    if after is None and at is None:
        return defaults.after, defaults.at
    if after is not None and at is not None:
        raise InvalidDelay("delay: pass after or at, not both")
    if isinstance(after, str):
        after = parse_duration(after)
    if at is not None and isinstance(at, str):
        at = parse_timestamp(at)
    return after, at
