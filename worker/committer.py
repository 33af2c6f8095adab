"""The committer: brings what followed to Redis, many jobs in one call, and says what became of each."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from scheduler import transitions
from scheduler.batcher import Batcher
from scheduler.encryption import Cipher, Field
from scheduler.errors import DuestreamError
from scheduler.job import JobState
from scheduler.refusals import ServerError
from scheduler.script_call import Word
from scheduler.transitions import Commit, Finish, Retry
from worker.delivery import Held
from worker.outcome import failed_commit
from worker.persistence import Persistence

_log = logging.getLogger("duestream.committer")

BATCH = 200
"""Jobs a call: 2 ms of the server at most."""

_REFUSED = (ServerError,)
"""One job that the server refuses for what it says must not hold up the others."""

_PART_BYTES = 8 * 1024
"""What each read, write, child and cancel weighs besides its bytes: five hundred fill a call, and hold nobody up."""

Answer = Callable[[Held, Word], None]
Ended = TypeVar("Ended", Commit, Finish)


class Committer:
    """Group commit, finish and retry.

    Args:
        persistence: Sends each call until it is answered.
        worker: The worker's name, for the record.
        refresh: Learns the catalog of indexes anew, when a commit was made by an older one.
        cipher: Encrypts results and errors; None where the app has no key for it.
        answered: Told what became of each delivery: OK, ALREADY, LOST, CONFLICT, STALE or FAILED.
        max_deliveries: After so many deaths a job fails.
    """

    def __init__(
        self,
        persistence: Persistence,
        worker: str,
        refresh: Callable[[], Awaitable[None]],
        cipher: Cipher | None,
        answered: Answer,
        max_deliveries: int,
    ) -> None:
        self._max_deliveries = max_deliveries
        self._persistence = persistence
        self._cipher = cipher
        self._worker = worker
        self._refresh = refresh
        self._answered = answered
        # A full Redis refuses what writes or schedules, and nothing else may wait for that.
        self._effects = Batcher(self._commit, BATCH, _commit_bytes, alone_on=_REFUSED)
        self._commits = Batcher(self._commit, BATCH, _commit_bytes, alone_on=_REFUSED)
        self._finishes = Batcher(self._finish, BATCH, lambda one: len(one.value), alone_on=_REFUSED)
        self._retries = Batcher(self._retry, BATCH, alone_on=_REFUSED)

    def commit(self, held: Held, commit: Commit) -> None:
        """End a mutation."""
        batcher = self._effects if commit.has_effects else self._commits
        batcher.hand(self._encrypted(commit), _Answered(held, self._answered))

    def finish(self, held: Held, finish: Finish) -> None:
        """End an action."""
        self._finishes.hand(self._encrypted(finish), _Answered(held, self._answered))

    def retry(self, held: Held, retry: Retry) -> None:
        """Give a delivery back."""
        if self._cipher is not None and retry.death:
            retry = retry._replace(death=self._cipher.encrypt(retry.delivery.job_id, "error", retry.death))
        self._retries.hand(retry, _Answered(held, self._answered))

    async def drain(self) -> None:
        """Wait until all that was handed over has been answered."""
        for batcher in (self._effects, self._commits, self._finishes, self._retries):
            await batcher.drain()

    def _encrypted(self, ended: Ended) -> Ended:
        """The same with its result or error encrypted, once for all times that it is sent."""
        if self._cipher is None:
            return ended
        field: Field = "result" if ended.state == JobState.SUCCESS else "error"
        return ended._replace(value=self._cipher.encrypt(ended.delivery.job_id, field, ended.value))

    async def _commit(self, commits: Sequence[Commit]) -> Sequence[Word]:
        try:
            words = await self._persistence.run(transitions.commit(commits, self._worker))
        except ServerError as error:
            if len(commits) > 1 or not commits[0].has_effects or commits[0].settled:
                raise
            (refused,) = commits
            _log.error("refused job_id=%s function=%s: %s", refused.delivery.job_id, refused.name, error)
            return await self._commit([self._encrypted(failed_commit(refused, error))])
        if Word.STALE in words:
            await self._learn()
        return words

    async def _learn(self) -> None:
        """Learn the catalog anew. What was committed is committed, whatever comes of this."""
        try:
            await self._refresh()
        except (DuestreamError, ServerError) as error:
            _log.error("the catalog of indexes cannot be read, so nothing that writes documents commits: %s", error)

    async def _finish(self, finishes: Sequence[Finish]) -> Sequence[Word]:
        return await self._persistence.run(transitions.finish(finishes))

    async def _retry(self, retries: Sequence[Retry]) -> Sequence[Word]:
        return await self._persistence.run(
            transitions.retry(retries, worker=self._worker, max_deliveries=self._max_deliveries)
        )


class _Answered:
    """Tells what became of one delivery."""

    __slots__ = ("_answered", "_held")

    def __init__(self, held: Held, answered: Answer) -> None:
        self._held = held
        self._answered = answered

    def done(self) -> bool:
        return False

    def set_result(self, word: Word, /) -> None:
        self._tell(word)

    def set_exception(self, error: BaseException, /) -> None:
        """The lease runs out, and the delivery comes back: nothing is lost, and nothing happened."""
        held = self._held
        _log.error("not committed job_id=%s function=%s", held.delivery.job_id, held.name, exc_info=error)
        self._tell(Word.LOST)

    def _tell(self, word: Word) -> None:
        try:
            self._answered(self._held, word)
        except Exception:  # noqa: BLE001  a bug of ours must not stop the others
            _log.exception("job_id=%s: its answer was not taken", self._held.delivery.job_id)


def _commit_bytes(commit: Commit) -> int:
    if commit.is_plain:
        return len(commit.value)
    parts = (
        len(commit.reads)
        + sum(scan.most for scan, _ in commit.scans)
        + len(commit.writes)
        + len(commit.entries)
        + len(commit.children)
        + len(commit.cancels)
    )
    return (
        len(commit.value)
        + sum(len(data) for _, _, data in commit.writes)
        + sum(child.size for child in commit.children)
        + _PART_BYTES * parts
    )
