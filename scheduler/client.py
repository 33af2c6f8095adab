"""`Scheduler`: schedules, cancels and looks up jobs from async code outside functions."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from scheduler import operations, transitions
from scheduler.admission import admit_client
from scheduler.app import App, check_app
from scheduler.attempts import TIMEOUT_S
from scheduler.batcher import Batcher
from scheduler.call import Call, Request
from scheduler.catalog import IndexCatalog
from scheduler.clients import async_client
from scheduler.clock import RedisClock
from scheduler.db import DatabaseReader, SystemTables
from scheduler.deadlines import Deadlines
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
from scheduler.mailbox import Mailbox
from scheduler.opened import Opened
from scheduler.operations import Producer
from scheduler.reading import Reads, answer, transition_of
from scheduler.refusals import ServerError
from scheduler.scheduling import Scheduling
from scheduler.script_call import Word
from scheduler.settings import check_patience, check_timeout, check_url
from scheduler.store import AsyncStore
from scheduler.stream import stream

if TYPE_CHECKING:
    import redis.asyncio

T = TypeVar("T")


class Scheduler(Scheduling):
    """An app's client, used by one event loop: `async with Scheduler(app) as scheduler`.

    Calls made at the same time leave together in one script call; one alone leaves at once. Every call may be repeated
    after an error: none makes a job twice.

    Args:
        app: The app.
        url: The server; else `REDIS_URL`, else the app's url, else the embedded server of this directory.
        trusted: False for clients that may only schedule public functions (C1.6).
        timeout: Seconds that a call waits for Redis at most, trying again meanwhile; then `Unavailable` is raised. For
            calls of many steps (`schedule_many`, `cancel_all`, `list`, `count`): each step.
        client: An async Redis client with `decode_responses=False` to use instead of a url, for tests.
    """

    def __init__(
        self,
        app: App,
        *,
        url: str | None = None,
        trusted: bool = True,
        timeout: float = TIMEOUT_S,
        client: redis.asyncio.Redis | None = None,
    ) -> None:
        self.app = check_app(app)
        self._timeout_s = check_timeout(timeout)
        self._url = check_url(url)
        self._client = client
        self._clock = RedisClock()
        self._keyring = Keyring.of(app)
        self._producer = Producer(app, JobIds(self._clock.now_ms), self._clock, trusted, self._keyring)
        self._tables = Tables(app.tables, IndexCatalog())
        self._batcher: Batcher[Request, tuple[Word, str]] = Batcher(
            self._send, operations.BATCH_JOBS, lambda request: request.size, operations.BATCH_BYTES, (ServerError,)
        )
        self._deadlines = Deadlines(self._timeout_s)
        self._opened: Opened[tuple[AsyncStore, Mailbox]] = Opened(
            f"Scheduler of app {app.namespace!r}", "async with Scheduler(app) as scheduler"
        )

    async def open(self) -> Self:
        """Connect; `async with` does it.

        Raises:
            ConfigurationError: No server is named, it refused the credentials, or it is none that is supported.
            Unavailable: It does not answer.
        """
        if not self._opened:
            url = None if self._client is not None else locate(self.app, self._url)
            client = self._client or async_client(str(url))
            store = AsyncStore(Keys(self.app.namespace), client, timeout_s=self._timeout_s)
            try:
                await store.drive(operations.read_clock(self._clock))
                if not store.fake:
                    await store.drive(admit_client(store.keys.prefix))
            except BaseException:
                if self._client is None:
                    await store.close()
                raise
            self._opened.put((store, Mailbox(store)), owned=self._client is None)
        return self

    async def close(self) -> None:
        """Wait for what is on the wire, and disconnect. Twice is once."""
        await self._batcher.drain()
        opened = self._opened.take()
        if opened is not None:
            store, mailbox = opened
            await mailbox.close()
            await (store.close() if self._client is None else store.let_go())

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def new_id(self) -> JobId:
        """An id for `options(job_id=...)`, for a call that may have to be said again (C2.10). Nothing is sent."""
        self._opened.get()
        return self._producer.ids.new()

    async def schedule_many(self, calls: Iterable[Call] | AsyncIterable[Call]) -> builtins.list[JobId]:
        """Schedule any number of calls in bounded batches, each of them all or none (C2.11).

        Args:
            calls: What `function.after` and `function.at` return; an async iterable too.

        Returns:
            The ids, in order. If a call is wrong, the batches before its own are scheduled.

        Raises:
            As `run_after` does. `Unavailable.job_ids` has the ids of the first calls, as far as they were made; several
            batches are on the wire at a time, so some behind the one that failed may be scheduled. With
            `call.using(job_id=...)` these calls can be repeated, and make no second jobs.
        """
        made: builtins.list[JobId] = []
        try:
            replies = await stream(self._batches(calls, made), self._send)
        except Unavailable as error:
            raise error.about(made) from error
        return [JobId(job_id) for _, job_id in replies]

    async def _batches(
        self, calls: Iterable[Call] | AsyncIterable[Call], made: builtins.list[JobId]
    ) -> AsyncGenerator[builtins.list[Request], None]:
        store, producer = self._store, self._producer
        async with aclosing(_groups(calls, operations.BATCH_JOBS)) as groups:
            async for group in groups:
                prepared = [self._one_of_many(call) for call in group]
                new = operations.make_ids(producer, prepared)
                made += new
                for batch in operations.chunks(await store.drive(operations.prepare(producer, prepared, ids=new))):
                    yield batch

    async def cancel(self, job_id: str) -> CancelOutcome:
        (outcome,) = await self.cancel_many([job_id])
        return outcome

    async def cancel_many(self, job_ids: Iterable[str]) -> builtins.list[CancelOutcome]:
        """Cancel jobs by id, in bounded batches; the outcomes in order.

        Raises:
            InvalidJobId: One of them is malformed; nothing was canceled.
        """
        return await self._store.drive(operations.cancel_many([parse_job_id(job_id) for job_id in job_ids]))

    async def cancel_all(
        self,
        *,
        function: AnyFunction | str | None = None,
        queue: str | None = None,
        before: Timestamp | None = None,
        after: Timestamp | None = None,
    ) -> int:
        """Cancel all jobs that match and have not ended, in bounded steps (C4.4).

        Args:
            function: Only jobs of this function.
            queue: Only jobs of this queue.
            before: Only jobs whose requested time is before this.
            after: Only jobs whose requested time is this or later.

        Returns:
            How many were canceled.
        """
        wanted = JobFilter.of(None, function, queue, before, after)
        return await self._store.drive(cancel_all(self._store.keys, wanted))

    async def get(self, job_id: str) -> Job | None:
        """One job's record, None where there is none (C5.4)."""
        return await self._store.drive(operations.get(parse_job_id(job_id), self._keyring))

    async def list(
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
        """One page of jobs: pending ones by due time, then those in progress, then ended ones, newest first (C5.4).

        Args:
            state, function, queue: Only such jobs.
            before, after: Bounds of the completion time, or of the requested time of jobs that have not ended.
            limit: Most jobs, 1 to 1,000.
            cursor: Where the page before said to go on.
        """
        wanted = JobFilter.of(state, function, queue, before, after)
        return await self._store.drive(list_jobs(self._store.keys, wanted, limit, cursor, self._keyring))

    async def count(
        self,
        *,
        state: JobState | str | None = None,
        function: AnyFunction | str | None = None,
        queue: str | None = None,
        before: Timestamp | None = None,
        after: Timestamp | None = None,
    ) -> int:
        """How many jobs match. By state alone it is read from the keys' sizes, else all records are walked."""
        wanted = JobFilter.of(state, function, queue, before, after)
        return await self._store.drive(count_jobs(self._store.keys, wanted))

    async def result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for a job to end, and return its result, typed by the function's hint where the app has it (C5.4).

        Args:
            job_id: The job.
            timeout: Seconds to wait, for ever if None. The job goes on when it is over.

        Raises:
            JobFailed: It failed; carries the error's type, message and traceback.
            JobCanceled: It was canceled.
            JobNotFound: There is no record of it.
            ResultTimeout: It had not ended in time.
            KeyMissing: The result is encrypted with a key that is not at hand.
        """
        job_id, timeout = parse_job_id(job_id), check_patience(timeout)
        store, mailbox = self._opened.get()
        try:
            async with asyncio.timeout(timeout):
                await mailbox.wait(job_id)
        except TimeoutError:
            raise ResultTimeout(f"job {job_id} had not ended after {timeout:g} s") from None
        return await store.drive(operations.outcome(self.app, job_id, self._keyring))

    @property
    def db(self) -> DatabaseReader:
        """Documents, read only (C6.1). Each answer, of a query each 128 documents, is one consistent state."""
        documents = Documents(Glance(self.app.limits), self._tables, self._producer.ids)
        return DatabaseReader(documents, self._read, _Records(self))

    async def _read(self, reads: Reads[T], /) -> T:
        return await answer(reads, lambda question: self._store.run(transition_of(question)))

    @property
    def _store(self) -> AsyncStore:
        return self._opened.get()[0]

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return self.app.find(function)

    async def _schedule(self, call: Call) -> JobId:
        store = self._store
        made = call.options.job_id or self._producer.ids.new()
        try:
            if call.function is not None:
                reply = self._batcher.submit(operations.prepare_known(self._producer, call, made))
                self._deadlines.add(reply)
                _, job_id = await reply
            else:
                # Together: what waits for its turn on the wire waits too.
                async with asyncio.timeout(self._timeout_s):
                    (request,) = await store.drive(operations.prepare(self._producer, [call], ids=[made]))
                    _, job_id = await self._batcher.submit(request)
        except Unavailable as error:
            raise error.about([made]) from error
        except TimeoutError as error:
            raise store.unavailable().about([made]) from error
        return JobId(job_id)

    async def _send(self, requests: Sequence[Request]) -> builtins.list[tuple[Word, str]]:
        return await self._store.run(transitions.schedule(requests))


class _Records(SystemTables):
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def get(self, job_id: str) -> Job | None:
        return await self._scheduler.get(job_id)


async def _groups(calls: Iterable[Call] | AsyncIterable[Call], size: int) -> AsyncGenerator[list[Call], None]:
    group: list[Call] = []
    if isinstance(calls, AsyncIterable):
        async for call in calls:
            group.append(operations.check_call(call))
            if len(group) == size:
                yield group
                group = []
    else:
        for call in calls:
            group.append(operations.check_call(call))
            if len(group) == size:
                yield group
                group = []
    if group:
        yield group
