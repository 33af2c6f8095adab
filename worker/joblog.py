"""What the log says of each job: a failure is a warning, whatever else ends or waits is for those who ask for it."""

from __future__ import annotations

import logging

from scheduler.context import JOB_LOG, job_log
from scheduler.job import JobError
from scheduler.script_call import Word
from scheduler.transitions import Retry
from worker.delivery import Held
from worker.logs import FAILURE


def log_answer(held: Held, word: Word) -> None:
    """What became of a delivery, once Redis has said so."""
    if held.failure is None and word in (Word.OK, Word.ALREADY) and not JOB_LOG.isEnabledFor(logging.DEBUG):
        return
    log = job_log(held.delivery.job_id, held.name, held.attempt)
    if word is Word.CONFLICT:
        log.debug("conflict: what it read has changed, it starts again")
    elif word is Word.STALE:
        log.debug("stale: an index came or went, it starts again")
    elif word is Word.SEALED:
        log.error("its SQL may have committed, and this deployment has no transaction= to ask: it stays pending")
    elif word is Word.LOST:
        log.debug("lost: the delivery was another's, or the job had ended")
    elif word is Word.FAILED:
        log.warning("failed: its process died once too often")
    elif held.failure is not None:
        told = logging.LoggerAdapter(log.logger, {**(log.extra or {}), FAILURE: held.failure.type})
        told.warning("failed: %s: %s", held.failure.type, held.failure.message)
        if held.failure.traceback:
            log.debug("%s", held.failure.traceback.rstrip())
    else:
        log.debug("ended after %d ms", held.elapsed_ms())


def log_retry(held: Held, retry: Retry) -> None:
    """A delivery goes back. Whether it runs again after a death of its process, the answer tells (`log_answer`)."""
    log = job_log(held.delivery.job_id, held.name, held.attempt)
    if retry.death:
        log.warning("died: %s", JobError.unpack(retry.death).message)
    elif retry.share is not None:
        log.info("given back, runs again after a pause that grows with each time")
    else:
        log.info("given back, runs again in %d ms", retry.delay_ms)
