"""The gate: what the keys of the app do not vouch for comes to no handler, and what is encrypted is opened here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from scheduler.clock import RedisClock
from scheduler.ending import end
from scheduler.envelope import check_signature, disclose
from scheduler.errors import BadSignature, InvalidValue, KeyMissing, NotDecryptable
from scheduler.keyring import Keyring
from scheduler.spec import Spec
from scheduler.transitions import Retry
from worker.delivery import Held
from worker.outcome import after_transient, give_back

EARLY_MS = 1_000
"""So much too early a job may look: the clocks of producers and workers run behind Redis' own."""

_log = logging.getLogger("duestream.gate")


class Gate:
    """Looks at each claimed delivery before anything is done with it.

    Args:
        keyring: The app's keys; None where it has none.
        clock: Redis time.
        count: Counts a refused job under the name that its spec gives, for `function list`.
    """

    def __init__(self, keyring: Keyring | None, clock: RedisClock, count: Callable[[str], Awaitable[None]]) -> None:
        self._keyring = keyring
        self._required = keyring is not None and keyring.requires_signature
        self._clock = clock
        self._count = count
        self._counting: set[asyncio.Task[None]] = set()

    def admit(self, held: Held) -> Retry | None:
        """Open a delivery's arguments, or note in `held.refusal` why it must not run.

        Returns:
            What is to be done with it instead, where it can run later or elsewhere: it is earlier than its signature
            allows, or encrypted with a key that this worker has not; else None.
        """
        spec = held.spec
        if spec is None or (spec.body is None and not self._required):
            return None
        try:
            return self._open(held, spec)
        except KeyMissing as error:
            _log.warning("given back job_id=%s function=%s: %s", held.delivery.job_id, held.name, error)
            return after_transient(held)
        except (BadSignature, NotDecryptable) as error:
            _log.error("refused job_id=%s function=%s: %s", held.delivery.job_id, held.name, error)
            held.refusal = type(error)(f"{held.name}: {error}")
            counting = asyncio.ensure_future(self._count(held.name))
            self._counting.add(counting)
            counting.add_done_callback(self._counted)
        except InvalidValue as error:
            held.spec, held.problem = None, str(error)
        return None

    async def close(self) -> None:
        """What has not been counted by now is not."""
        await end(*self._counting)

    def _counted(self, counting: asyncio.Task[None]) -> None:
        self._counting.discard(counting)
        if not counting.cancelled() and counting.exception() is not None:
            _log.error("a refused job is missing in the count", exc_info=counting.exception())

    def _open(self, held: Held, spec: Spec) -> Retry | None:
        job_id, keyring = held.delivery.job_id, self._keyring
        if keyring is not None:
            not_before_ms = check_signature(keyring, job_id, held.delivery.queue, spec)
            early_ms = 0 if not_before_ms is None else not_before_ms - self._clock.now_ms()
            if early_ms > EARLY_MS:
                # The due set is not signed: somebody has moved the job (C7.3: nothing runs before it is due).
                _log.error("given back job_id=%s function=%s: signed for %d ms later", job_id, held.name, early_ms)
                return give_back(held, early_ms)._replace(attempts=held.attempt - 1)
        held.spec = disclose(keyring, job_id, spec)
        return None
