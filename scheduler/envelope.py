"""The arguments of a job as its spec holds them where the app has keys: a body and its cover (see `spec.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scheduler import values
from scheduler.encryption import decrypted
from scheduler.errors import BadSignature, InvalidValue
from scheduler.keyring import Keyring, cipher_of

if TYPE_CHECKING:
    from scheduler.spec import Spec

_TWO = b"\x92"
"""The head of a msgpack array of two: args and kwargs are stored one after the other."""


def enclose(keyring: Keyring, job_id: str, head: bytes, packed_args: bytes, not_before_ms: int) -> bytes:
    """The end of a spec: the arguments, encrypted if there is a key for it, and their cover.

    Args:
        keyring: The app's keys.
        job_id: The job.
        head: The spec from the queue to the idempotency key.
        packed_args: args and kwargs, one after the other.
        not_before_ms: When it may run at the earliest, Redis time in epoch ms.
    """
    cipher, signatures = keyring.cipher, keyring.signatures
    body = packed_args if cipher is None else cipher.encrypt(job_id, "arguments", packed_args)
    cover: list[Any] = []
    if signatures is not None:
        cover = [not_before_ms, signatures.sign(job_id, head, body, not_before_ms)]
    return values.pack(body, "spec") + values.pack(cover, "spec")


def disclose(keyring: Keyring | None, job_id: str, spec: Spec) -> Spec:
    """The spec with its arguments in the open; whether they are signed is another question.

    Raises:
        KeyMissing, NotDecryptable: They are encrypted, and stay so.
        InvalidValue: They are damaged.
    """
    if spec.body is None:
        return spec
    packed = decrypted(cipher_of(keyring), job_id, "arguments", spec.body)
    args, kwargs = values.unpack(_TWO + packed)
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise InvalidValue("spec: damaged: a field of the wrong type")
    return spec._replace(args=args, kwargs=kwargs, body=None, cover=())


def check_signature(keyring: Keyring, job_id: str, queue: str, spec: Spec) -> int | None:
    """Check that the app has asked for this job, in this queue.

    Returns:
        When it may run at the earliest, Redis time in epoch ms; None where nobody said.

    Raises:
        BadSignature: Nobody with a key of the app did.
    """
    signatures = keyring.signatures
    if signatures is None:
        return None
    if not spec.cover or spec.body is None:
        if keyring.accept_unsigned:
            return None
        raise BadSignature("not signed, and this app runs only what is (signing_key)")
    not_before_ms, signature = spec.cover
    if not signatures.verify(signature, job_id, spec.head(), spec.body, not_before_ms):
        raise BadSignature("altered, or not signed with a key of this app (signing_key)")
    if queue != spec.queue:
        raise BadSignature(f"signed for the queue {spec.queue!r}, found in {queue!r}")
    return not_before_ms
