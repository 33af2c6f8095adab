"""All that the doctor can find: how bad it is, what it means, what to do. `docs/doctor.md` has the same, at length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scheduler.doctor.calls import Row

SHOWN: Final = 5
"""Names that a finding shows."""


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Jobs are lost, stuck or at risk now."""
    WARNING = "warning"
    """Nothing is lost yet, or only tidiness."""
    NOTE = "note"
    """Something was not looked at."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code stands for. `fixable`: `--fix` mends it."""

    severity: Severity
    means: str
    advice: str
    fixable: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found.

    Attributes:
        code: Its key in `RULES`.
        said: What was found, in figures.
        names: Which queues, jobs, keys; all that were found, in the order they were.
        rows: What `mend` is to look at again.
    """

    code: str
    said: str
    names: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def rule(self) -> Rule:
        return RULES[self.code]

    @property
    def subject(self) -> str:
        """The first names, and how many more there are."""
        more = len(self.names) - SHOWN
        return ", ".join(self.names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def counted(count: int, one: str, more: str = "") -> str:
    """A number with its noun; `more` is the plural where it takes no s."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def worst(findings: list[Finding]) -> Severity:
    """The worst of what was found; a note where nothing was."""
    found = {finding.rule.severity for finding in findings}
    return next((one for one in Severity if one in found), Severity.NOTE)


def _error(means: str, advice: str, *, fixable: bool = False) -> Rule:
    return Rule(Severity.ERROR, means, advice, fixable)


def _warning(means: str, advice: str, *, fixable: bool = False) -> Rule:
    return Rule(Severity.WARNING, means, advice, fixable)


_FIX: Final = "--fix"

RULES: Final[Mapping[str, Rule]] = {
    # The server
    "server-old": _error("its scripts need what this server does not know", "use Redis 7.0 or newer, or Valkey"),
    "server-replica": _error("a replica takes no writes", "name the primary in --url"),
    "memory-evicting": _error("a full server drops keys, and with them jobs", "set maxmemory-policy noeviction"),
    "memory-evicted": _error("keys were dropped to make room: jobs may be gone", "set noeviction, and more memory"),
    "memory-full": _error("a full server takes no new jobs", "give it more memory, or keep fewer records"),
    "memory-short": _warning("a full server takes no new jobs", "give it more memory, or keep fewer records"),
    "disk-none": _warning("a restart loses all jobs", "set appendonly yes"),
    "disk-snapshots": _warning("a crash loses what came since the last snapshot", "set appendonly yes"),
    "disk-failing": _error("what is accepted now may be lost, and writes may be refused", "see the server's log"),
    "replica-behind": _warning("a failover would lose what it has not got", "see its link and its load"),
    "clock-off": _warning("times that people read here are off; no job is", "set the clocks by NTP"),
    "clock-jumped": _warning("jobs come early or late, and leases are judged later", "let NTP slew, not step"),
    "rights-missing": _error("a script stops half-way at what it may not do", "print the rules: duestream acl"),
    # Who works
    "app-absent": _warning("no worker of this app has ever started here", "see --namespace and --url; start a worker"),
    "worker-silent": _warning("it is dead, paused or cut off", "look at its host; its jobs run elsewhere"),
    "queue-unserved": _error("its jobs wait for ever", "start a worker with -Q and this queue"),
    "function-unserved": _warning("its jobs fail when they are delivered", "deploy the function, or cancel its jobs"),
    "promoter-missing": _error("nothing that falls due is run", "start a worker, or duestream promoter"),
    "lease-over": _error("nobody takes work back from the dead", "start a worker, or duestream promoter"),
    # Queues
    "queue-damaged": _error("nothing moves in this queue", "move the key away: redis-cli RENAME"),
    "group-missing": _error("no worker is handed anything of this queue", f"{_FIX} makes it", fixable=True),
    "entry-foreign": _warning("something else writes to this stream", f"stop it; {_FIX} removes them", fixable=True),
    "entry-stale": _warning("a delivery that counts no longer", f"{_FIX} removes it", fixable=True),
    "entry-stranded": _error("handed out, and held by nobody", f"{_FIX} delivers its job anew", fixable=True),
    # Jobs
    "job-lost": _error("pending, and in no queue: it never runs", f"{_FIX} delivers it", fixable=True),
    "action-unwatched": _error("in progress for ever if its worker is dead", f"{_FIX} gives it a lease", fixable=True),
    "record-unlisted": _warning("its record is never removed", f"{_FIX} lists it", fixable=True),
    "member-dangling": _warning("it counts, and is not there", f"{_FIX} removes it", fixable=True),
    "status-orphan": _warning("a status without a job stays for ever", f"{_FIX} removes it", fixable=True),
    "status-damaged": _error("nobody knows what happened to it", f"{_FIX} makes it anew", fixable=True),
    "spec-damaged": _error("nobody knows what was asked: it fails when it is due", "schedule it again"),
    # Keys
    "key-orphan": _warning("an idempotency key without a job", f"{_FIX} removes it", fixable=True),
    "key-damaged": _error("a key of another type than its name says", "move it away: redis-cli RENAME"),
    "key-endless": _warning("it should end by itself, and stays", "remove it: redis-cli DEL"),
    "key-foreign": _warning("something else writes under this prefix", "stop it, and remove them"),
    # Documents
    "index-unbuilt": _warning("queries along it are refused", "start a worker whose app declares it; see its log"),
    "document-damaged": _error("who reads it fails", "write it anew; duestream db get shows what is left"),
    # What was not looked at
    "not-all-seen": Rule(Severity.NOTE, "there may be more", "look at all with --deep"),
    "not-asked": Rule(Severity.NOTE, "the server does not tell this user", "ask as a user who may"),
}
"""By code."""
