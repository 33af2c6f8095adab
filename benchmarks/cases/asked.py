"""How large a case is to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """Sizes of a case; each case takes what it has use for.

    Attributes:
        jobs: How many; 0: what suits the system.
        seconds: Of each operation of a client, or of watching.
        chunk: Jobs of a bulk call; 0: what suits the system.
        rate: Jobs a second in `latency`.
        span_s: How long `latency` and `delayed` last.
        lead_s: From the first schedule call of `delayed` to the first job's time.
        pending: Jobs that wait for a far day.
        cap_s: After so long a case is cut off.
        payload: Bytes that each job of a drain carries besides its number.
        drain: In `pending`: drain ready jobs too.
        operations: Of `enqueue`.
        clients: In its operation `crowd`: how many.
        workers: In `idle`: how many.
    """

    jobs: int = 0
    seconds: float = 3.0
    chunk: int = 0
    rate: float = 50.0
    span_s: float = 10.0
    lead_s: float = 6.0
    pending: int = 100_000
    cap_s: float = 120.0
    payload: int = 0
    drain: bool = True
    operations: tuple[str, ...] = ("one", "bulk")
    clients: int = 1
    workers: int = 1
