"""`SyncScheduler`: the same client for code without an event loop. Threads may share one."""

from __future__ import annotations

import builtins
import itertools
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from scheduler import operations, transitions
from scheduler.admission import admit_client
from scheduler.app import App, check_app
from scheduler.attempts import TIMEOUT_S
from scheduler.call import Call
from scheduler.catalog import IndexCatalog
from scheduler.clients import blocking_client
from scheduler.clock import RedisClock
from scheduler.db import BlockingDatabaseReader
from scheduler.documents import Documents, Tables
from scheduler.due import Timestamp
from scheduler.errors import ResultTimeout, Unavailable
from scheduler.function import AnyFunction
from scheduler.glance import Glance
from scheduler.ids import JobId, JobIds, parse_job_id
from scheduler.job import CancelOutcome, Job, JobState
from scheduler.keyring import Keyring
from scheduler.keys import Keys
from scheduler.listing import JobFilter, JobPage, cancel_all, count_jobs, list_jobs
from scheduler.location import locate
from scheduler.mailbox import wait_blocking
from scheduler.opened import Opened
from scheduler.operations import Producer
from scheduler.reading import answer_blocking
from scheduler.scheduling import BlockingScheduling
from scheduler.script_call import Transition, Word
from scheduler.settings import check_patience, check_timeout, check_url
from scheduler.store import BlockingStore

if TYPE_CHECKING:
    import redis


class SyncScheduler(BlockingScheduling):
    """An app's blocking client: `with SyncScheduler(app) as scheduler`. See `Scheduler` for what each method promises.

    Args:
        app: The app.
        url: The server; else `REDIS_URL`, else the app's url, else the embedded server of this directory.
        trusted: False for clients that may only schedule public functions (C1.6).
        timeout: Seconds that a call waits for Redis at most; see `Scheduler`.
        client: A blocking Redis client with `decode_responses=False` to use instead of a url, for tests.
    """

    def __init__(
        self,
        app: App,
        *,
        url: str | None = None,
        trusted: bool = True,
        timeout: float = TIMEOUT_S,
        client: redis.Redis | None = None,
    ) -> None:
        self.app = check_app(app)
        self._timeout_s = check_timeout(timeout)
        self._url = check_url(url)
        self._client = client
        self._clock = RedisClock()
        self._keyring = Keyring.of(app)
        self._producer = Producer(app, JobIds(self._clock.now_ms), self._clock, trusted, self._keyring)
        self._tables = Tables(app.tables, IndexCatalog())
        self._opened: Opened[BlockingStore] = Opened(
            f"SyncScheduler of app {app.namespace!r}", "with SyncScheduler(app) as scheduler"
        )

    def open(self) -> Self:
        """Connect; `with` does it. Raises as `Scheduler.open` does."""
        if not self._opened:
            client = self._client or blocking_client(locate(self.app, self._url))
            store = BlockingStore(Keys(self.app.namespace), client, timeout_s=self._timeout_s)
            try:
                store.drive(operations.read_clock(self._clock))
                if not store.fake:
                    store.drive(admit_client(store.keys.prefix))
            except BaseException:
                if self._client is None:
                    store.close()
                raise
            self._opened.put(store, owned=self._client is None)
        return self

    def close(self) -> None:
        """Disconnect. Twice is once."""
        store = self._opened.take()
        if store is not None and self._client is None:
            store.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def new_id(self) -> JobId:
        """An id for `options(job_id=...)`; see `Scheduler.new_id`."""
        self._opened.get()
        return self._producer.ids.new()

    def schedule_many(self, calls: Iterable[Call]) -> list[JobId]:
        """Schedule any number of calls in bounded batches; see `Scheduler.schedule_many`."""
        made: list[JobId] = []
        try:
            replies = builtins.list(self._store.run_all(self._batches(iter(calls), made)))
        except Unavailable as error:
            raise error.about(made) from error
        return [JobId(job_id) for reply in replies for _, job_id in reply]

    def _batches(
        self, calls: Iterator[Call], made: builtins.list[JobId]
    ) -> Iterator[Transition[builtins.list[tuple[Word, str]]]]:
        store, producer = self._store, self._producer
        while group := builtins.list(itertools.islice(calls, operations.BATCH_JOBS)):
            prepared = [self._one_of_many(operations.check_call(call)) for call in group]
            new = operations.make_ids(producer, prepared)
            made += new
            for batch in operations.chunks(store.drive(operations.prepare(producer, prepared, ids=new))):
                yield transitions.schedule(batch)

    def cancel(self, job_id: str) -> CancelOutcome:
        (outcome,) = self.cancel_many([job_id])
        return outcome

    def cancel_many(self, job_ids: Iterable[str]) -> list[CancelOutcome]:
        """Cancel jobs by id; see `Scheduler.cancel_many`."""
        return self._store.drive(operations.cancel_many([parse_job_id(job_id) for job_id in job_ids]))

    def cancel_all(
        self,
        *,
        function: AnyFunction | str | None = None,
        queue: str | None = None,
        before: Timestamp | None = None,
        after: Timestamp | None = None,
    ) -> int:
        """Cancel all jobs that match and have not ended; see `Scheduler.cancel_all`."""
        wanted = JobFilter.of(None, function, queue, before, after)
        return self._store.drive(cancel_all(self._store.keys, wanted))

    def get(self, job_id: str) -> Job | None:
        """One job's record, None where there is none (C5.4)."""
        return self._store.drive(operations.get(parse_job_id(job_id), self._keyring))

    def list(
        self,
        *,
        state: JobState | str | None = None,
        function: AnyFunction | str | None = None,
        queue: str | None = None,
        before: Timestamp | None = None,
        after: Timestamp | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> JobPage:
        """One page of jobs; see `Scheduler.list`."""
        wanted = JobFilter.of(state, function, queue, before, after)
        return self._store.drive(list_jobs(self._store.keys, wanted, limit, cursor, self._keyring))

    def count(
        self,
        *,
        state: JobState | str | None = None,
        function: AnyFunction | str | None = None,
        queue: str | None = None,
        before: Timestamp | None = None,
        after: Timestamp | None = None,
    ) -> int:
        """How many jobs match; see `Scheduler.count`."""
        wanted = JobFilter.of(state, function, queue, before, after)
        return self._store.drive(count_jobs(self._store.keys, wanted))

    def result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for a job to end, and return its result; see `Scheduler.result`."""
        job_id, timeout = parse_job_id(job_id), check_patience(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        if not wait_blocking(self._store, job_id, deadline):
            raise ResultTimeout(f"job {job_id} had not ended after {timeout:g} s")
        return self._store.drive(operations.outcome(self.app, job_id, self._keyring))

    @property
    def db(self) -> BlockingDatabaseReader:
        """Documents, read only; see `Scheduler.db`."""
        documents = Documents(Glance(self.app.limits), self._tables, self._producer.ids)
        return BlockingDatabaseReader(documents, lambda reads: answer_blocking(reads, self._store.run), self)

    @property
    def _store(self) -> BlockingStore:
        return self._opened.get()

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return self.app.find(function)

    def _schedule(self, call: Call) -> JobId:
        store, made = self._store, call.options.job_id or self._producer.ids.new()
        try:
            if call.function is not None:
                requests = [operations.prepare_known(self._producer, call, made)]
            else:
                requests = store.drive(operations.prepare(self._producer, [call], ids=[made]))
            ((_, job_id),) = store.run(transitions.schedule(requests))
        except Unavailable as error:
            raise error.about([made]) from error
        return JobId(job_id)
