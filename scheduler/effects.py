"""What a transaction leaves when its handler has ended: plain data, which may come from another process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from scheduler import values
from scheduler.call import Request
from scheduler.ids import JobId
from scheduler.transitions import Commit
from scheduler.versions import Scan


class Effects(NamedTuple):
    """What was read, and what is to be done.

    Attributes:
        conflicted: A handler was shown a conflict; whatever it made of that, it starts over.
        contended: The documents that others may have changed under it.
        reads, scans, writes, entries, children, cancels, catalog: As `Commit` takes them; delays of children count from
            the start of the mutation.
    """

    conflicted: bool = False
    contended: tuple[str, ...] = ()
    reads: Sequence[tuple[str, str, str]] = ()
    scans: Sequence[tuple[Scan, str]] = ()
    writes: Sequence[tuple[str, str, bytes]] = ()
    entries: Sequence[tuple[str, str, str, bytes]] = ()
    children: Sequence[Request] = ()
    cancels: Sequence[str] = ()
    catalog: str = "0"

    def with_reads(self, commit: Commit) -> Commit:
        """The commit with what was read and no effect: the end of a mutation that failed."""
        return commit._replace(reads=self.reads, scans=self.scans)

    def with_effects(self, commit: Commit) -> Commit:
        """The commit with what was read and all that is to be done."""
        return self.with_reads(commit)._replace(
            writes=self.writes,
            entries=self.entries,
            # A delay counts from the mutation's start (C2.7); the script counts from its own time.
            children=[
                child._replace(ms=child.ms - commit.elapsed_ms) if child.mode == "after" else child
                for child in self.children
            ],
            cancels=self.cancels,
            catalog=self.catalog,
        )

    def pack(self) -> bytes:
        rows = [
            self.conflicted,
            list(self.contended),
            [list(row) for row in self.reads],
            [[*scan, found] for scan, found in self.scans],
            [list(row) for row in self.writes],
            [list(row) for row in self.entries],
            [list(row) for row in self.children],
            list(self.cancels),
            self.catalog,
        ]
        return values.pack(rows, "effects")

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """What `pack` made."""
        conflicted, contended, reads, scans, writes, entries, children, cancels, catalog = values.unpack(data)
        return cls(
            conflicted,
            tuple(contended),
            [tuple(row) for row in reads],
            [(Scan(*scan), found) for *scan, found in scans],
            [tuple(row) for row in writes],
            [tuple(row) for row in entries],
            [Request(JobId(job_id), *rest) for job_id, *rest in children],
            cancels,
            catalog,
        )
