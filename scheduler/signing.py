"""Signatures of jobs: who has no key of the app can make a worker run nothing (docs/security.md)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from scheduler import values

_DOMAIN = b"duestream job 1\x00"
"""No other use of the same key signs anything that begins so."""


class Signatures:
    """Signs and verifies with HMAC-SHA256.

    Args:
        namespace: The app's; a job of one app is no job of another.
        keys: The first signs, all verify.
    """

    def __init__(self, namespace: str, keys: Sequence[bytes]) -> None:
        self._prefix = _DOMAIN + values.pack(namespace, "namespace")
        self._keys = tuple(keys)

    def sign(self, job_id: str, head: bytes, body: bytes, not_before_ms: int) -> bytes:
        """The signature of a job, 32 bytes.

        Args:
            job_id: Its id.
            head: The spec from the queue to the idempotency key, as it is stored.
            body: Its arguments, as they are stored.
            not_before_ms: When it may run at the earliest, Redis time in epoch ms.
        """
        return hmac.digest(self._keys[0], self._text(job_id, head, body, not_before_ms), "sha256")

    def verify(self, signature: bytes, job_id: str, head: bytes, body: bytes, not_before_ms: int) -> bool:
        """Whether one of the keys made this signature for just this; the time it takes tells nothing."""
        text = self._text(job_id, head, body, not_before_ms)
        return any(hmac.compare_digest(hmac.digest(key, text, "sha256"), signature) for key in self._keys)

    def _text(self, job_id: str, head: bytes, body: bytes, not_before_ms: int) -> bytes:
        # Each part tells its own length (msgpack), so no two jobs have the same text.
        return b"".join(
            (
                self._prefix,
                values.pack(job_id, "id"),
                head,
                values.pack(body, "body"),
                values.pack(not_before_ms, "not_before"),
            )
        )
