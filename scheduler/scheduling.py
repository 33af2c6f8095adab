"""The interface of scheduling, async and blocking: the same names, checks and errors everywhere (C2.12)."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ParamSpec, Self, overload

from scheduler.call import NO_OPTIONS, Call, CallOptions
from scheduler.due import Delay, Timestamp
from scheduler.errors import InvalidOption
from scheduler.function import AnyFunction, Function, call_after, call_at
from scheduler.ids import JobId
from scheduler.job import CancelOutcome

P = ParamSpec("P")


class _Optional:
    """Whatever takes options of a call."""

    _call_options: CallOptions = NO_OPTIONS

    def options(
        self,
        *,
        queue: str | None = None,
        idempotency_key: str | None = None,
        allow_unknown: bool = False,
        job_id: JobId | None = None,
    ) -> Self:
        """The same interface, with options for the calls made through it (C2.1).

        Args:
            queue: Where the jobs wait; the function's own queue where None.
            idempotency_key: 1 to 200 bytes of text. While the record of a job with this key is kept, a call with the
            same
                key schedules nothing and returns that job's id (C2.10).
            allow_unknown: Accept a name that no live deployment has registered (C2.6).
            job_id: The id of one job, so that a call can be said again without a second job: from `new_id`, or from an
                `Unavailable` (C2.10). A call with the id of a job that has a record already schedules nothing. Not in
                mutations.

        Raises:
            InvalidOption: Naming what is wrong.
        """
        twin = copy.copy(self)
        twin._call_options = CallOptions(queue, idempotency_key, allow_unknown, job_id)  # noqa: SLF001
        return twin

    def _one_of_many(self, call: Call) -> Call:
        """With the options, of which an id is not for several jobs.

        Raises:
            InvalidOption: These options hold one.
        """
        if self._call_options.job_id is not None:
            raise InvalidOption("job_id: the id of one job; give each call its own with call.using(job_id=...)")
        return self._with_options(call)

    def _with_options(self, call: Call) -> Call:
        own, mine = call.options, self._call_options
        return call if mine is NO_OPTIONS else call.using(
            queue=own.queue or mine.queue,
            idempotency_key=own.idempotency_key or mine.idempotency_key,
            allow_unknown=own.allow_unknown or mine.allow_unknown,
            job_id=own.job_id or mine.job_id,
        )  # fmt: skip


class Scheduling(_Optional, ABC):
    """`run_after`, `run_at` and `cancel`, to be awaited."""

    @overload
    async def run_after(
        self, delay: Delay, function: Function[Any, P, Any, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId: ...
    @overload
    async def run_after(self, delay: Delay, function: str, /, *args: Any, **kwargs: Any) -> JobId: ...
    async def run_after(self, delay: Delay, function: AnyFunction | str, /, *args: Any, **kwargs: Any) -> JobId:
        """Schedule a function `delay` milliseconds (or a timedelta) from now; 0 means at once (C2.1, C2.2).

        Args:
            delay: 0 to five years. Never started before it is over, by Redis time.
            function: A registered function, or its name.
            args: The function's arguments, checked against its signature where it is at hand.

        Returns:
            The job's id: 26 characters, known before anything is sent, so a call repeated by the library makes one job.

        Raises:
            InvalidCall: A subclass that names the bad argument; nothing was stored.
            UnknownFunction: No live deployment has registered that name.
            NotAllowed: An internal function, from an untrusted client.
            Unavailable: Redis did not answer in time.
        """
        return await self._schedule(self._with_options(call_after(delay, self._find(function), args, kwargs)))

    @overload
    async def run_at(
        self, timestamp: Timestamp, function: Function[Any, P, Any, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId: ...
    @overload
    async def run_at(self, timestamp: Timestamp, function: str, /, *args: Any, **kwargs: Any) -> JobId: ...
    async def run_at(self, timestamp: Timestamp, function: AnyFunction | str, /, *args: Any, **kwargs: Any) -> JobId:
        """Schedule a function at an epoch time in milliseconds, or at an aware datetime (C2.3, C2.4).

        Args:
            timestamp: Within five years of now. In the past means at once, behind what has been due for longer.
            function: A registered function, or its name.
            args: The function's arguments, checked against its signature where it is at hand.

        Returns:
            The job's id; raises as `run_after` does.
        """
        return await self._schedule(self._with_options(call_at(timestamp, self._find(function), args, kwargs)))

    @abstractmethod
    async def cancel(self, job_id: str) -> CancelOutcome:
        """Cancel a job; the outcome says what was found and done (C4).

        Raises:
            InvalidJobId: Not an id that duestream makes.
        """

    @abstractmethod
    async def _schedule(self, call: Call) -> JobId: ...

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        """A name's function where it is at hand, so that its arguments are checked now."""
        return function


class BlockingScheduling(_Optional, ABC):
    """`run_after`, `run_at` and `cancel`, blocking: the twin of `Scheduling`."""

    @overload
    def run_after(
        self, delay: Delay, function: Function[Any, P, Any, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId: ...
    @overload
    def run_after(self, delay: Delay, function: str, /, *args: Any, **kwargs: Any) -> JobId: ...
    def run_after(self, delay: Delay, function: AnyFunction | str, /, *args: Any, **kwargs: Any) -> JobId:
        """Schedule a function `delay` milliseconds (or a timedelta) from now; see `Scheduling.run_after`."""
        return self._schedule(self._with_options(call_after(delay, self._find(function), args, kwargs)))

    @overload
    def run_at(
        self, timestamp: Timestamp, function: Function[Any, P, Any, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId: ...
    @overload
    def run_at(self, timestamp: Timestamp, function: str, /, *args: Any, **kwargs: Any) -> JobId: ...
    def run_at(self, timestamp: Timestamp, function: AnyFunction | str, /, *args: Any, **kwargs: Any) -> JobId:
        """Schedule a function at an epoch time in ms or an aware datetime; see `Scheduling.run_at`."""
        return self._schedule(self._with_options(call_at(timestamp, self._find(function), args, kwargs)))

    @abstractmethod
    def cancel(self, job_id: str) -> CancelOutcome:
        """Cancel a job; see `Scheduling.cancel`."""

    @abstractmethod
    def _schedule(self, call: Call) -> JobId: ...

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return function
