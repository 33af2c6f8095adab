"""What a worker tells its keeper at the start."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

PLACE_BYTES = 8
"""What the worker has seen of a queue: the ms of the last entry's id, in native order, to be written at once."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first line of a keeper's standard input, as JSON.

    Attributes:
        url: The server. It comes by the pipe, for everybody can read a command line.
        namespace: The app's.
        worker: Whose leases they are.
        pid: Its process.
        lease_ms: The lease.
        every_ms: How often the worker renews, and says so.
        most_s: Until its first line, the seconds of silence for which it is renewed for.
        seen_fd: A file of `PLACE_BYTES` for each queue, that both processes have mapped.
        queues: In the order of that file.
    """

    url: str
    namespace: str
    worker: str
    pid: int
    lease_ms: int
    every_ms: int
    most_s: float
    seen_fd: int
    queues: tuple[str, ...]

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Hello:
        fields = json.loads(line)
        return cls(**{**fields, "queues": tuple(fields["queues"])})
