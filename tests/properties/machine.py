"""The state machine: the real scripts and the model take the same steps, and must agree on everything after each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scheduler import transitions, values, versions
from scheduler.call import Request
from scheduler.ids import JobId, JobIds
from scheduler.keys import GROUP
from scheduler.script_call import Transition, Word
from scheduler.transitions import Commit, Delivery, Finish, Lead, Retry, Seal
from scheduler.versions import Catalog, Scan, Snapshot
from tests.properties.choices import choose, choose_some, one_time_in, toss
from tests.properties.data import NEW, entry_of
from tests.properties.handler import SCANS, Handler, Part, sort_key
from tests.properties.model import FINAL, Entry, Model
from tests.properties.picture import draw
from tests.transitions.conftest import ERROR, NOW, RESULT, World
from tests.transitions.photo import Dump

T = TypeVar("T")

QUEUES = ("p", "q")
WORKERS = ("w1", "w2")
PROMOTERS = ("p1", "p2")
KEPT, BRIEF = "f:kept", "f:brief"
SETTINGS = {f"keep_ms:{BRIEF}": 0, f"keep_ms:{KEPT}": 5000}
DOCUMENTS = ("a:1", "a:2", "b:1")
KEYS = ("k1", "k2")
MAILBOXES = ("m1", "m2")
INDEX = "a:v"

# Real time, so that nothing of it ends while an example runs.
LONG_MS = 10**8
IDLE_MS = 10**7

LEASE_MS = 100
LARGE = values.pack([b"x" * 5000], "args") + values.pack({}, "kwargs")

WHEN = [*(("delay", ms) for ms in (0, 0, 1, 50, 150)), *(("at", ms) for ms in (-3000, -1, 0, 1, 120))]
DELAYS = st.sampled_from([0, 0, 1, 50, 150])
LIMITS = st.sampled_from([1, 2, 10])


class Sent(Generic[T]):
    """A call as it was sent, to be sent again byte for byte, and what the model says of it at a time."""

    def __init__(self, transition: Transition[T], predict: Callable[[int], T], makes: frozenset[str]) -> None:
        self.transition, self.predict, self.makes = transition, predict, makes

    def __repr__(self) -> str:
        return self.transition.script.name


class Numbered(JobIds):
    """The same ids in each run of the same steps: the pauses of what is redelivered depend on them."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)

    def new(self) -> JobId:
        self._last += 1
        return JobId(f"{self._last:026}")


class Machine(RuleBasedStateMachine):
    """Deliveries are never forgotten: any of them may act at any later time, however long its lease has been over."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        world.ids = Numbered()
        self.model = Model(QUEUES, {})
        self.now = self.latest = NOW
        self.cap = 0
        self.sent: list[Sent[Any]] = []
        self.deliveries: list[Delivery] = []
        self.kinds: dict[str, str] = {}
        self.handlers: dict[str, Handler] = {}
        self.catalogs: list[Catalog] = []
        self.versions = {"0"}
        self.parts: list[Part] = []
        self.tokens: set[tuple[str, str]] = set()
        self.ended: dict[str, str] = {}
        self.children: dict[str, bool] = {}
        self.accepted: set[str] = set()

    # Both sides

    def call(self, transition: Transition[T], predict: Callable[[int], T], makes: frozenset[str] = frozenset()) -> T:
        """Send a call, and hold the answer against the model's; `makes` are the jobs it may bring about."""
        return self._send(Sent(transition, predict, makes))

    def _send(self, sent: Sent[T]) -> T:
        self.sent = [*self.sent[-9:], sent]
        predicted: object = sent.predict(self.now)
        reply = self.world.run(sent.transition)
        if self.model.data.catalog == NEW:
            self._learn_catalog()
            predicted = self.model.data.known() if isinstance(predicted, Catalog) else predicted
        assert reply == predicted
        return reply

    @invariant()
    def the_data_set_is_what_the_model_says(self) -> None:
        photo = self.world.photo()
        self._learn(photo.dump)
        self._look_for_children(photo.dump)
        picture = draw(self.model, self.world.keys)
        assert photo.dump == picture.dump
        assert photo.volatile == picture.volatile
        if self.model.successions:  # a follower takes it at once; it lives for ten seconds, and a run may last longer
            self.world.command("DEL", self.world.keys.succession)
            self.model.successions = 0

    def _learn_catalog(self) -> None:
        """The version that a declare or a forget has made: there was none like it before (C6.1)."""
        self.model.data.catalog = self.world.indexes()["version"].decode()
        assert self.model.data.catalog not in self.versions
        self.versions.add(self.model.data.catalog)

    def _learn(self, dump: dict[bytes, Any]) -> None:
        """The ids and tokens of new entries. No job ever has the same token twice (C3.1), or runs before it is due."""
        for queue in QUEUES:
            rows, _ = dump.get(self.world.keys.ready(queue).encode(), ((), ()))
            for (entry_id, flat), entry in zip(rows, self.model.streams[queue], strict=False):
                if not entry.id:
                    entry.id, entry.token = entry_id.decode(), flat[3].decode()
                    assert (entry.job.id, entry.token) not in self.tokens
                    assert entry.job.scheduled <= self.latest  # C7.3
                    self.tokens.add((entry.job.id, entry.token))

    @invariant()
    def a_final_state_stays(self) -> None:
        # C5.1
        states = {job.id: job.state for job in self.model.jobs.values()}
        for job_id, state in self.ended.items():
            assert states.get(job_id, state) == state
        self.ended |= {job_id: state for job_id, state in states.items() if state in FINAL}

    def _look_for_children(self, dump: Dump) -> None:
        """They exist exactly if their mutation succeeded (C2.7)."""
        prefix = self.world.keys.prefix
        for child, accepted in self.children.items():
            exists = any(f"{prefix}{of}:{child}".encode() in dump for of in ("job", "status"))
            assert exists == (accepted and child in self.model.jobs)

    # Choosing

    def jobs(self) -> list[str]:
        """The newest of each kind of state, and one that is unknown."""
        of = {
            state: [job.id for job in self.model.jobs.values() if job.state == state] for state in (None, "inProgress")
        }
        return [*of["inProgress"][-3:], *of[None][-4:], *list(self.ended)[-3:], "0" * 26]

    def pick_job(self, data: st.DataObject) -> str:
        return choose(data, self.jobs(), "job")

    def current(self, kind: str, *states: str | None) -> list[Delivery]:
        """Deliveries that count, of jobs in one of these states."""
        found = []
        for delivery in self.deliveries:
            job = self.model.holder_of(delivery)
            if job and job.state in states and self.kinds[delivery.job_id] == kind:
                found.append(delivery)
        return found

    def held(self) -> set[str]:
        """The kinds of what workers ever had."""
        return {self.kinds[delivery.job_id] for delivery in self.deliveries}

    def pick(self, data: st.DataObject, kind: str, *states: str | None, unique: bool = True) -> list[Delivery]:
        """One or two deliveries, of different jobs where `unique`; one time in four any that there ever were."""
        live, of_kind = self.current(kind, *states), [d for d in self.deliveries if self.kinds[d.job_id] == kind]
        pool = of_kind if not live or one_time_in(data, 4, "late") else live
        if not pool:
            return []
        chosen = choose_some(data, pool[-6:], "deliveries", least=1, most=2)
        return list({delivery.job_id: delivery for delivery in chosen}.values()) if unique else chosen

    def request(self, data: st.DataObject, parent: str = "", **options: Any) -> Request:
        kind = options.pop("kind", None) or choose(data, ["mutation", "mutation", "action"], "kind")
        if "delay" not in options:
            mode, ms = choose(data, WHEN, "when")
            options[mode] = self.now + ms if mode == "at" else ms
        if one_time_in(data, 10, "large"):
            options["args"] = LARGE
        queue = choose(data, QUEUES, "queue")
        name = choose(data, [KEPT, KEPT, BRIEF], "name")
        request = self.world.request(queue=queue, name=name, kind=kind, parent=parent, **options)
        self.kinds[request.id] = kind
        return request

    # Producers

    @initialize(
        most=st.sampled_from([2, 100]),
        cap=st.sampled_from([1, 2, 3]),
        keys=st.sampled_from([("", ""), KEYS]),
        first=st.sampled_from(WORKERS),
    )
    def work_is_there(self, most: int, cap: int, keys: tuple[str, str], first: str) -> None:
        """In each queue both kinds, in a worker's hands; an action has begun. So no run is spent on coming that far."""
        self.cap = cap
        self.model.settings = SETTINGS | {"keep_count": most}
        for worker in WORKERS:
            self.join(worker, self.model.settings)
        self.declare()
        for queue, name, key in zip(QUEUES, (KEPT, BRIEF), keys, strict=True):
            requests = [
                self.world.request(queue=queue, name=name, kind="action", key=key),
                self.world.request(queue=queue, name=name, kind="mutation"),
            ]
            self.kinds |= {requests[0].id: "action", requests[1].id: "mutation"}
            self._schedule(requests)
        self.the_data_set_is_what_the_model_says()
        self.claim(first, 2)
        action = self.current("action", None)[:1]
        call = transitions.begin(action, first, LEASE_MS, self.now)
        self.call(call, lambda now: self.model.begin(action, first, LEASE_MS, now))

    @rule(data=st.data(), count=st.integers(1, 3))
    def schedule(self, data: st.DataObject, count: int) -> None:
        requests = []
        for _ in range(count):
            parent = choose(data, ["", "", *list(self.model.running)[:2], *self.ended][:5], "parent")
            key = choose(data, ["", "", *KEYS], "key")
            requests.append(self.request(data, parent, key=key))
        if count == 3 and toss(data, "one of them twice"):
            requests.append(requests[0])
        self._schedule(requests)

    def _schedule(self, requests: list[Request]) -> None:
        before = set(self.model.jobs)
        call = transitions.schedule(requests, self.now)
        ids = frozenset(request.id for request in requests)
        words = self.call(call, lambda now: self.model.schedule(requests, now), ids)
        accepted = {job_id for word, job_id in words if word is Word.OK}
        assert set(self.model.jobs) - before == accepted
        assert len(accepted) == [word for word, _ in words].count(Word.OK)
        self.accepted |= accepted

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_ids = choose_some(data, self.jobs(), "jobs", least=1, most=3)
        call = transitions.cancel(job_ids, self.now)
        self.call(call, lambda now: self.model.cancel(job_ids, str(call.argv[1]), now))

    def watch(self, data: st.DataObject, mailbox: str) -> None:
        job_id = self.pick_job(data)
        self.call(transitions.watch(job_id, mailbox), lambda now: self.model.watch(job_id, mailbox))

    def unwatch(self, data: st.DataObject, mailbox: str) -> None:
        job_id = self.pick_job(data)
        self.call(transitions.unwatch(job_id, mailbox), lambda now: self.model.unwatch(job_id, mailbox))

    # The promoter and the janitor

    @rule(name=st.sampled_from(PROMOTERS), limit=st.sampled_from([1, 2, 3, 100]))
    def promote(self, name: str, limit: int) -> None:
        self.world.command("DEL", self.world.keys.wake)
        self.model.wake = False
        call = transitions.promote(name, LONG_MS, limit, self.now)

        def read(reply: Any) -> Lead | None:
            lead = call.read(reply)
            return lead if lead.leads else None

        self.call(Transition(call.script, call.argv, read), lambda now: self.model.promote(name, limit, now))

    def the_promoters_lease_ends(self) -> None:
        self.world.command("DEL", self.world.keys.promoter)
        self.model.promoter = ""

    @precondition(lambda self: any(entry.holder for stream in self.model.streams.values() for entry in stream))
    @rule(limit=LIMITS, stalled=st.sampled_from(["", *WORKERS]))
    def redeliver(self, limit: int, stalled: str) -> None:
        if stalled:
            self.a_worker_stalls_past_its_leases(stalled)
        call, cap = transitions.redeliver(IDLE_MS, self.cap, limit, ERROR, self.now), self.cap
        self.call(call, lambda now: self.model.redeliver(cap, limit, ERROR, now))

    @precondition(lambda self: self.model.running)
    @rule(limit=LIMITS)
    def expire(self, limit: int) -> None:
        self.call(transitions.expire(limit, ERROR, self.now), lambda now: self.model.expire(limit, ERROR, now))

    @precondition(lambda self: self.ended)
    @rule(limit=LIMITS)
    def prune(self, limit: int) -> None:
        call = transitions.prune(limit, self.now)
        counted = Transition(call.script, call.argv, lambda reply: call.read(reply)[:2])
        self.call(counted, lambda now: self.model.prune(limit, now))

    def sweep(self, silent_ms: int) -> None:
        self.call(transitions.sweep(silent_ms, 10, self.now), lambda now: self.model.sweep(silent_ms, 10, now))

    # Workers

    @precondition(lambda self: not all(entry.holder for stream in self.model.streams.values() for entry in stream))
    @rule(worker=st.sampled_from(WORKERS), count=st.integers(1, 4))
    def claim(self, worker: str, count: int) -> None:
        for queue in QUEUES:
            self._claim(worker, queue, count)

    def _claim(self, worker: str, queue: str, count: int) -> None:
        claimed = self.world.claim(queue, worker, count)
        entries = self.model.claim(queue, worker, count)
        assert claimed == [self._delivery(entry) for entry in entries]
        self.deliveries += claimed
        for i, delivery in enumerate(claimed):
            if self.kinds[delivery.job_id] == "mutation":
                self._read(delivery, [("doc", document) for document in DOCUMENTS[: 1 + i]], SCANS[:i])

    @staticmethod
    def _delivery(entry: Entry) -> Delivery:
        return Delivery(entry.job.id, entry.job.asked.queue, entry.id, entry.token, entry.attempt)

    @precondition(lambda self: "action" in self.held())
    @rule(data=st.data(), worker=st.sampled_from(WORKERS))
    def begin(self, data: st.DataObject, worker: str) -> None:
        if deliveries := self.pick(data, "action", None, "inProgress"):
            call = transitions.begin(deliveries, worker, LEASE_MS, self.now)
            self.call(call, lambda now: self.model.begin(deliveries, worker, LEASE_MS, now))

    @precondition(lambda self: "action" in self.held())
    @rule(data=st.data(), worker=st.sampled_from(WORKERS), delay=DELAYS)
    def revert(self, data: st.DataObject, worker: str, delay: int) -> None:
        # C7.2
        if deliveries := self.pick(data, "action", None, "inProgress", unique=False):
            call = transitions.revert(deliveries, worker, delay, self.now)
            self.call(call, lambda now: self.model.revert(deliveries, worker, delay, now))

    @precondition(lambda self: "action" in self.held())
    @rule(data=st.data(), state=st.sampled_from(["success", "failed"]))
    def finish(self, data: st.DataObject, state: str) -> None:
        asked = [(delivery, self.asked(delivery)) for delivery in self.pick(data, "action", "inProgress", unique=False)]
        value = RESULT if state == "success" else ERROR
        ends = [Finish(delivery, name, key, state, value) for delivery, (name, key) in asked]
        if ends:
            self.call(transitions.finish(ends, self.now), lambda now: self.model.finish(ends, now))

    def asked(self, delivery: Delivery) -> tuple[str, str]:
        """Function and idempotency key, as a worker knows them from the spec."""
        job = self.model.jobs.get(delivery.job_id)
        return (job.asked.name, job.asked.key) if job else (KEPT, "")

    @precondition(lambda self: "mutation" in self.held())
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """A handler reads: what it saw is in its read set until it commits, and may be outdated by then."""
        for delivery in self.pick(data, "mutation", None):
            pools = {"doc": DOCUMENTS, "key": KEYS, "job": self.jobs()}
            kinds = choose_some(data, tuple(pools), "reads", most=4)
            items = [(kind, choose(data, pools[kind], kind)) for kind in kinds]
            self._read(delivery, items, choose_some(data, SCANS, "scans", most=2))

    def _read(self, delivery: Delivery, items: Sequence[tuple[str, str]], scans: Sequence[Scan] = ()) -> None:
        snapshot = self.world.run(versions.read(items, scans))
        data, things = self.model.data, [self.model.look_at(kind, key) for kind, key in items]
        assert snapshot == Snapshot(data.sequence, things, [data.walk(scan) for scan in scans])
        self.handlers.setdefault(delivery.token, Handler()).learn(items, scans, snapshot)

    @precondition(lambda self: "mutation" in self.held())
    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        """Right before its SQL commits."""
        seals = [Seal(one, self.handlers[one.token].reads) for one in self.pick(data, "mutation", None)]
        if seals:
            self.call(transitions.seal(seals, self.now), lambda now: self.model.seal(seals))

    @precondition(lambda self: "mutation" in self.held())
    @rule(data=st.data(), worker=st.sampled_from(WORKERS), state=st.sampled_from(["success", "success", "failed"]))
    def commit(self, data: st.DataObject, worker: str, state: str) -> None:
        deliveries = self.pick(data, "mutation", None)
        commits = list[Commit]()
        for delivery in deliveries:
            commits.append(self._commit_of(data, delivery, state, earlier=commits))
        if commits:
            self._commit(commits, worker)

    @rule(data=st.data(), together=st.booleans())
    def rivals_commit(self, data: st.DataObject, together: bool) -> None:
        self.rivals_commit_now(data, together=together)

    def rivals_commit_now(self, data: st.DataObject, *, together: bool = True) -> None:
        """Some that have read the same at the same time, in one call or one after the other (C6.2)."""
        self._schedule([self.request(data, kind="mutation", delay=0) for _ in range(2)])
        self.the_data_set_is_what_the_model_says()
        self.claim(WORKERS[0], 4)
        rivals = self.current("mutation", None)[-3:]
        for rival in rivals:
            self._read(rival, [("doc", document) for document in DOCUMENTS], SCANS[:2])
        commits = [self._commit_of(data, rival, "success") for rival in rivals]
        for calls in [commits] if together else [[one] for one in commits]:
            self._commit(calls, WORKERS[0])
            self.the_data_set_is_what_the_model_says()

    @precondition(lambda self: self.current("mutation", None))
    @rule(deaths=st.integers(1, 3), after_its_commit=st.booleans())
    def workers_die_at_their_seal(self, deaths: int, after_its_commit: bool) -> None:
        """Right after it, one after the other (C6.4); the next one has asked SQL, or has not yet."""
        for _ in range(deaths):
            seals = [Seal(one, self.handlers[one.token].reads) for one in self.current("mutation", None)]
            self.call(transitions.seal(seals, self.now), lambda now, seals=seals: self.model.seal(seals))  # type: ignore[misc]
            for worker in WORKERS:
                self.a_worker_stalls_past_its_leases(worker)
            self.redeliver(10, "")
            self.the_data_set_is_what_the_model_says()
            self.claim(WORKERS[1], 4)
        if after_its_commit:
            self._commit([self._last(one) for one in self.current("mutation", None)], WORKERS[1])

    @precondition(lambda self: "action" in self.held())
    @rule(data=st.data(), worker=st.sampled_from(WORKERS))
    def run_at_once_by_an_action(self, data: st.DataObject, worker: str) -> None:
        # C3.9; also by an action that was canceled while its code runs on.
        for parent in self.pick(data, "action", "inProgress")[:1]:
            at_once = Delivery("", "", "", secrets.token_hex(8), 1)
            self._commit([self._commit_of(data, at_once, "success", parent.job_id)], worker)

    def _commit(self, commits: list[Commit], worker: str) -> None:
        def predict(now: int) -> list[Word]:
            words = self.model.commit(commits, worker, now)
            for one, word in zip(commits, words, strict=True):
                for child in one.children:
                    self.children[child.id] = self.children.get(child.id, False) or word is Word.OK
            return words

        self.call(transitions.commit(commits, worker, self.now), predict)

    def _commit_of(
        self, data: st.DataObject, delivery: Delivery, state: str, parent: str = "", earlier: Sequence[Commit] = ()
    ) -> Commit:
        """Writes only what was read, as the product does: blind writes are read at the last moment."""
        name, key = self.asked(delivery) if delivery.job_id else (KEPT, "")
        conflicts = choose(data, [0, 0, 0, 2], "conflicts")
        if state == "failed":
            handler = self.handlers[delivery.token]
            return Commit(
                delivery, name, key, 7, state, ERROR, handler.reads, handler.scans_seen(data), conflicts=conflicts
            )
        documents = choose_some(data, DOCUMENTS, "documents", most=2, unique=True)
        jobs = [*self.jobs(), *(child.id for one in earlier for child in one.children)]
        targets = choose_some(data, jobs, "cancels", most=2)
        wanted = choose(data, ["", "", *KEYS], "key")
        items = [("doc", document) for document in documents] + ([("key", wanted)] if wanted else [])
        if toss(data, "says that it read the jobs"):
            items += [("job", target) for target in targets]
        self._read(delivery, items)
        handler = self.handlers[delivery.token]
        writes = [self._write(data, document, handler.version("doc", document)) for document in documents]
        children = [
            self.request(data, parent or delivery.job_id, born=choose(data, ["", "", "canceled"], "born"))
            for _ in range(choose(data, (0, 1, 2), "children"))
        ]
        if wanted and not handler.version("key", wanted):
            children.append(self.request(data, parent or delivery.job_id, key=wanted))
        if children and one_time_in(data, 5, "cancels its own child"):
            targets = [*targets, children[0].id]
        catalog = self._catalog(data)
        return Commit(
            delivery, name, key, 7, state, RESULT, handler.reads, handler.scans_seen(data), writes,
            handler.entries(writes, catalog), children, targets, conflicts, catalog.version,
        )  # fmt: skip

    def _catalog(self, data: st.DataObject) -> Catalog:
        """What the worker knows of indexes; one time in six it is of an earlier time."""
        old = self.catalogs and one_time_in(data, 6, "old catalog")
        return choose(data, self.catalogs[-4:], "catalog") if old else self.model.data.known()

    @staticmethod
    def _write(data: st.DataObject, document: str, seen: str) -> tuple[str, str, bytes]:
        op = choose(data, ["put", "put", "del"], "op") if seen else "add"
        return op, document, b"" if op == "del" else choose(data, [b"1", b"2"], "data")

    @precondition(lambda self: self.held())
    @rule(data=st.data(), delay_ms=DELAYS)
    def retry(self, data: st.DataObject, delay_ms: int) -> None:
        kind = choose(data, ["mutation", "action"], "kind")
        deliveries = self.pick(data, kind, None, unique=False)
        # Started in vain, given back unstarted, or its own process died.
        cap = self.cap
        given = [
            Retry(
                one,
                one.attempt - choose(data, (0, 1), "unstarted"),
                delay_ms,
                self.asked(one)[0],
                conflicts=choose(data, [0, 0, 3], "conflicts"),
                unseal=toss(data, "unseal"),
                key=self.asked(one)[1],
                death=choose(data, [b"", b"", ERROR], "death"),
                share=choose(data, [None, None, 0, 200_000, 1_000_000], "share"),
            )
            for one in deliveries
        ]
        if given:
            call = transitions.retry(given, self.now, worker=WORKERS[0], max_deliveries=cap)
            self.call(call, lambda now: self.model.retry(given, WORKERS[0], cap, now))

    @precondition(lambda self: any(entry.holder for stream in self.model.streams.values() for entry in stream))
    @rule(worker=st.sampled_from(WORKERS))
    def a_worker_stalls_past_its_leases(self, worker: str) -> None:
        """It has crashed, or it is a zombie: it may still act with what it holds."""
        for queue in QUEUES:
            for entry in self.model.streams[queue]:
                if entry.holder == worker:
                    entry.lost = True
                    stream = self.world.keys.ready(queue)
                    self.world.command("XCLAIM", stream, GROUP, worker, 0, entry.id, "IDLE", IDLE_MS, "JUSTID")

    @precondition(lambda self: self.held())
    @rule(data=st.data(), worker=st.sampled_from(WORKERS))
    def renew(self, data: st.DataObject, worker: str) -> None:
        actions = {one.job_id: one.token for one in self.pick(data, "action", "inProgress")}
        known = {d.entry for d in self.deliveries}
        held = {q: [e.id for e in self.model.streams[q] if e.holder == worker and e.id in known] for q in QUEUES}
        gone = [d for d in self.deliveries[-3:] if d.entry not in {e.id for e in self.model.streams[d.queue]}]
        for delivery in gone:
            held[delivery.queue].append(delivery.entry)
        entries = {queue: ids for queue, ids in held.items() if ids}
        call = transitions.renew(worker, LEASE_MS, LONG_MS, len(actions), "17", actions, entries, self.now)
        self.call(call, lambda now: self.model.renew(worker, LEASE_MS, actions, entries, now))

    @precondition(lambda self: self.held())
    @rule(worker=st.sampled_from(WORKERS))
    def sustain(self, worker: str) -> None:
        """The worker's process stands still, and its keeper renews for it what it has seen."""
        seen = {queue: entries[len(entries) // 2].id for queue in QUEUES if (entries := self.model.streams[queue])}
        age_ms = IDLE_MS // 2
        call = transitions.sustain(worker, age_ms + LEASE_MS, LONG_MS, age_ms, 1_000, seen, self.now)
        self.call(call, lambda now: self.model.sustain(worker, age_ms + LEASE_MS, age_ms, seen, now))

    # Indexes

    def _catalog_call(self, transition: Transition[Any], predict: Callable[[int], Any]) -> None:
        self.catalogs.append(self.model.data.known())
        self.call(transition, predict)

    def declare(self) -> None:
        self._catalog_call(versions.declare([INDEX]), lambda now: self.model.data.declare([INDEX]))

    def forget(self) -> None:
        self._catalog_call(versions.forget(INDEX), lambda now: self.model.data.forget(INDEX))

    @rule(data=st.data(), limit=st.sampled_from([1, 1, 9]))
    def index(self, data: st.DataObject, limit: int) -> None:
        """An indexer reads a part; or one that has read a part writes it, maybe late. An index may come or go too."""
        chore = choose(data, ["read", "read", "write", "write", "declare", "declare", "forget"], "chore")
        if chore == "declare":
            self.declare()
        elif chore == "forget" and toss(data, "sure"):
            self.forget()
        elif chore == "read":
            self._read_part(limit)
        else:
            self._write_part()

    @rule(data=st.data(), limit=st.sampled_from([1, 2]), steps=st.lists(st.sampled_from("rwdf"), max_size=4))
    def an_index_is_built_anew(self, data: st.DataObject, limit: int, steps: list[str]) -> None:
        """While rivals commit, an indexer reads and writes parts, and the index may go and come back."""
        self.forget()
        self.declare()
        self._read_part(limit)
        ways = {"r": lambda: self._read_part(limit), "w": self._write_part, "d": self.declare, "f": self.forget}
        for step in steps:
            self.rivals_commit_now(data)
            ways[step]()
            self.the_data_set_is_what_the_model_says()
            self.an_index_that_is_ready_holds_each_document_once()
        self._write_part()

    def _write_part(self) -> None:
        if self.parts:
            part = self.parts[-1]
            self.call(versions.reindex(*part), lambda now: self.model.data.reindex(*part))

    def _read_part(self, limit: int) -> None:
        built = self.model.data.indexes.get(INDEX)
        if built is None:
            return
        scan = Scan("table:a", "BYSCORE", f"({built}", "+inf", "asc", limit)
        (walked,) = self.world.run(versions.read([], [scan])).walks
        rows = [(one.id, one.version, sort_key(one.data)) for one in walked.documents]
        after = None if len(rows) < limit else walked.documents[-1].created
        self.parts.append(Part(INDEX, built, after, rows, self.model.data.catalog))

    @invariant()
    def an_index_that_is_ready_holds_each_document_once(self) -> None:
        # C6.1
        data = self.model.data
        if data.indexes.get(INDEX, 0) is None:
            table = {entry_of(sort_key(one.data), one.created, one.id) for one in data.table("a")}
            assert data.entries[INDEX] == table

    def leave(self, worker: str, promoter: str) -> None:
        call = transitions.leave(worker, promoter, QUEUES, self.now)
        self.call(call, lambda now: self.model.leave(worker, promoter))

    def join(self, worker: str, settings: Mapping[str, int] = MappingProxyType({})) -> None:
        call = transitions.join(worker, LONG_MS, {"pid": 7}, settings, {}, QUEUES, self.now)
        self.call(call, lambda now: self.model.join(worker, {"pid": 7}, now))

    def what_was_posted_is_taken(self, mailbox: str) -> None:
        self.world.command("DEL", self.world.keys.mail(mailbox))
        self.model.mail.pop(mailbox, None)

    # The machine under it

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_earlier_call_is_sent_again(self, data: st.DataObject) -> None:
        """Byte for byte, but for the clock: that is the server's, so in life it has moved on."""
        # A schedule that comes again after its job's record has been removed is a new one: nothing tells them apart.
        safe = [sent for sent in self.sent if sent.makes <= self.model.jobs.keys()]
        if safe:
            sent = choose(data, safe, "call")
            argv = [self.now if sent.transition.argv[0] != "" else "", *sent.transition.argv[1:]]
            self._send(Sent(Transition(sent.transition.script, argv, sent.transition.read), sent.predict, sent.makes))

    @rule(ms=st.sampled_from([1, 49, 50, 99, 100, 500, 5000, -1, -60, -5000]))
    def the_clock_moves(self, ms: int) -> None:
        self.now += ms
        self.latest = max(self.latest, self.now)

    @rule(
        data=st.data(),
        worker=st.sampled_from(WORKERS),
        mailbox=st.sampled_from(MAILBOXES),
        chore=st.sampled_from(
            ["watch", "watch", "unwatch", "leave", "join", "sweep", "flush", "promoter", "post", "count"]
        ),
    )
    def chore(self, data: st.DataObject, worker: str, mailbox: str, chore: str) -> None:
        """What happens now and then; one rule, so that the ways of jobs are walked more often."""
        chores: dict[str, Callable[[], None]] = {
            "watch": lambda: self.watch(data, mailbox),
            "unwatch": lambda: self.unwatch(data, mailbox),
            "leave": lambda: self.leave(worker, choose(data, PROMOTERS, "promoter")),
            "join": lambda: self.join(worker),
            "sweep": lambda: self.sweep(choose(data, [50, 1000], "silent for ms")),
            "flush": self.the_scripts_are_forgotten,
            "promoter": self.the_promoters_lease_ends,
            "post": lambda: self.what_was_posted_is_taken(mailbox),
            "count": self.count,
        }
        chores[chore]()

    def the_scripts_are_forgotten(self) -> None:
        self.world.command("SCRIPT", "FLUSH")

    def count(self) -> None:
        counted = self.world.run(transitions.count())
        states = [job.state or "pending" for job in self.model.jobs.values() if job.has_record]
        assert {state.value: n for state, n in counted.items()} == {s.value: states.count(s.value) for s in counted}

    # At rest

    def teardown(self) -> None:
        """All drains, and nothing is left that is not meant to be: what is said of a fault holds after any of them."""
        try:
            if self.model.settings:
                self._drain()
        finally:
            self.world.command("FLUSHDB")

    def _drain(self) -> None:
        times = [*(job.due or 0 for job in self.model.jobs.values()), *self.model.running.values()]
        self.now = self.latest = max(self.latest, self.now, *times)
        self.the_promoters_lease_ends()
        for worker in WORKERS:
            self.leave(worker, "nobody")
            self.the_data_set_is_what_the_model_says()
        self.expire(1000)
        while self.model.heads():
            self.promote("p1", 100)
            self.the_data_set_is_what_the_model_says()
        for queue in QUEUES:
            self._claim("w1", queue, 1000)
        mutations = self.current("mutation", None)
        seals = [Seal(one) for one in mutations if "sealed" in self.model.jobs[one.job_id].fields]
        self.call(transitions.seal(seals, self.now), lambda now: self.model.seal(seals))
        commits = [self._last(delivery) for delivery in mutations]
        ended = self.call(
            transitions.commit(commits, "w1", self.now), lambda now: self.model.commit(commits, "w1", now)
        )
        actions = self.current("action", None)
        self.call(transitions.begin(actions, "w1", 9, self.now), lambda now: self.model.begin(actions, "w1", 9, now))
        ends = [Finish(one, *self.asked(one), "success", RESULT) for one in actions]
        finished = self.call(transitions.finish(ends, self.now), lambda now: self.model.finish(ends, now))
        assert {*ended, *finished} <= {Word.OK}
        self.the_data_set_is_what_the_model_says()
        self.a_final_state_stays()
        assert {job.state for job in self.model.jobs.values()} <= set(FINAL)
        assert self.accepted <= set(self.ended)  # each accepted call made one job, and it ended
        self._forget()

    def _last(self, delivery: Delivery) -> Commit:
        return Commit(delivery, *self.asked(delivery), 7, "success", RESULT)

    def _forget(self) -> None:
        """After retention nothing of a job is left, but for the counters and what it wrote."""
        self.now += 10**10
        self.prune(1000)
        self.the_data_set_is_what_the_model_says()
        prefix, photo = self.world.keys.prefix.encode(), self.world.photo()
        lasting = {key.removeprefix(prefix).partition(b":")[0] for key in photo.dump.keys() - photo.volatile}
        assert lasting <= {
            b"queues",
            b"settings",
            b"stats",
            b"ready",
            b"sequence",
            b"doc",
            b"table",
            b"indexes",
            b"index",
            b"workers",
            b"wake",
        }
        assert all(not self.world.entries(queue) for queue in QUEUES)
