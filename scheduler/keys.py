"""Every key of duestream, in one place.

All keys of an app begin with ``{namespace}:``, a hash tag, so they share a slot and one script may touch all of them.

==========================  ==========  =====================================================  ===================  ==================
key (after the prefix)      type        holds                                                  lives                written by
==========================  ==========  =====================================================  ===================  ==================
``due:<queue>``             sorted set  job id, scored by due time in epoch ms                 while jobs wait      schedule, commit, retry
``job:<id>``                string      the spec (msgpack), see ``lua/include/spec.lua``       until pruned         schedule, commit
``status:<id>``             hash        state, token, entry, attempts, deaths (in a row, for   until pruned, or     every transition
                                        the cap), died (see ``lua/include/death.lua``),        10 min after the
                                        retried, passes (times that it was given back for      end
                                        what passes with time), started, completed, worker,
                                        result, error, waiters, withdrawn (nonce of the call
                                        that canceled it), sealed (token of the delivery whose
                                        SQL may commit); only the state where the record was
                                        removed
``key:<idempotency key>``   string      the job id it stands for                               with its job         schedule, commit
``ready:<queue>``           stream      one entry a delivery: job, token, attempt, spec;       stays                promote, retry, redeliver
                                        group ``workers``
``running``                 sorted set  actions in progress, scored by the end of their lease  while they run       begin, renew, sustain
``done:<state>``            sorted set  finished jobs by completion time in ms                 until pruned         complete
``expiry``                  sorted set  finished jobs whose function has a retention of its    until pruned         complete
                                        own, by the time of their removal in ms
``wake``                    list        one element wakes the promoter                         until taken          schedule, commit, retry
``promoter``                string      name of the process that promotes now                  its lease            promote
``succession``              list        wakes a follower when the promoter has left            10 s                 leave
``queues``                  set         names of all queues                                    stays                schedule, join
``workers``                 sorted set  live workers by last heartbeat in ms                   with the worker      renew, sustain
``worker:<name>``           hash        what a worker is and runs                              heartbeat's life     join, renew, sustain
``functions``               hash        registered functions: name, description as JSON        stays                join
``functions:seen``          sorted set  registered functions by the last time in ms            stays                join
``settings``                hash        retention, by app and by function                      stays                join
``stats:<function>``        hash        finished jobs by state; conflicts: starts in vain;     stays                complete, commit, retry,
                                        refused: jobs that failed for their signature                               the worker's gate
``mail:<mailbox>``          list        ids of finished jobs somebody waits for                60 s                 complete
``sequence``                string      goes up with each commit that writes documents, by     stays                commit
                                        as many as it adds, at least 1: the last number of
                                        creation is never above it
``applied:<token>``         string      a mutation run by an action was applied                10 min               commit
``doc:<table>:<id>``        hash        version (``<attempt>-<token>`` of its last write),     until deleted        commit
                                        created (its number of creation), data (msgpack)
``table:<table>``           sorted set  document ids by number of creation                     while it has any     commit
``indexes``                 hash        index -> ``ready`` or the number of creation up to     stays                declare, reindex, forget
                                        which it is built; version, another one with each
                                        index that comes or goes
``index:<table>:<fields>``  sorted set  entries, see ``lua/include/entry.lua``, all scores 0   while it has any     commit, reindex
==========================  ==========  =====================================================  ===================  ==================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GROUP = "workers"
"""The consumer group of every ready stream."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of key of the table above: its type as TYPE names it, and whether it ends by itself (None: some do)."""

    type: str
    ends: bool | None = False


KINDS: Final[Mapping[str, Kind]] = {
    "due:": Kind("zset"),
    "job:": Kind("string"),
    "status:": Kind("hash", ends=None),
    "key:": Kind("string"),
    "ready:": Kind("stream"),
    "running": Kind("zset"),
    "done:": Kind("zset"),
    "expiry": Kind("zset"),
    "wake": Kind("list"),
    "promoter": Kind("string", ends=True),
    "succession": Kind("list", ends=True),
    "queues": Kind("set"),
    "workers": Kind("zset"),
    "worker:": Kind("hash", ends=True),
    "functions": Kind("hash"),
    "functions:seen": Kind("zset"),
    "settings": Kind("hash"),
    "stats:": Kind("hash"),
    "mail:": Kind("list", ends=True),
    "sequence": Kind("string"),
    "applied:": Kind("string", ends=True),
    "doc:": Kind("hash"),
    "table:": Kind("zset"),
    "indexes": Kind("hash"),
    "index:": Kind("zset"),
}
"""By the whole name after the prefix, or by its beginning up to the colon; a test holds the table to it."""


def kind_of(name: str) -> Kind | None:
    """The kind of a key, named after the prefix; None for one that duestream never writes."""
    if name in KINDS:
        return None if name.endswith(":") else KINDS[name]
    head, colon, rest = name.partition(":")
    return KINDS.get(f"{head}:") if colon and rest else None


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one app, made from its namespace."""

    namespace: str

    @property
    def prefix(self) -> str:
        return f"{{{self.namespace}}}:"

    @property
    def wake(self) -> str:
        return f"{self.prefix}wake"

    @property
    def succession(self) -> str:
        return f"{self.prefix}succession"

    @property
    def queues(self) -> str:
        return f"{self.prefix}queues"

    @property
    def workers(self) -> str:
        return f"{self.prefix}workers"

    @property
    def functions(self) -> str:
        return f"{self.prefix}functions"

    @property
    def running(self) -> str:
        return f"{self.prefix}running"

    @property
    def promoter(self) -> str:
        return f"{self.prefix}promoter"

    def due(self, queue: str) -> str:
        return f"{self.prefix}due:{queue}"

    def ready(self, queue: str) -> str:
        return f"{self.prefix}ready:{queue}"

    def job(self, job_id: str) -> str:
        return f"{self.prefix}job:{job_id}"

    def status(self, job_id: str) -> str:
        return f"{self.prefix}status:{job_id}"

    def done(self, state: str) -> str:
        return f"{self.prefix}done:{state}"

    def worker(self, name: str) -> str:
        return f"{self.prefix}worker:{name}"

    def mail(self, mailbox: str) -> str:
        return f"{self.prefix}mail:{mailbox}"

    def stats(self, function: str) -> str:
        return f"{self.prefix}stats:{function}"

    def document(self, document_id: str) -> str:
        return f"{self.prefix}doc:{document_id}"

    def table(self, name: str) -> str:
        return f"{self.prefix}table:{name}"
