"""Encryption of arguments, results and errors: AES-256-GCM, bound to the app, the job and the field (docs/security.md).

An encrypted value, in bytes:

    0xC1 | 0x01 | key's id (4) | nonce (12) | ciphertext | tag (16)

0xC1 begins no msgpack value, so what is encrypted is never taken for something else; 0x01 is the version.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal

from scheduler import values
from scheduler.errors import ConfigurationError, KeyMissing, NotDecryptable

Field = Literal["arguments", "result", "error"]

_MARK: Final = b"\xc1\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(_MARK) + _KEY_ID_BYTES + _NONCE_BYTES


class Hidden(Enum):
    """What stands where a value cannot be shown."""

    ENCRYPTED = "encrypted"


ENCRYPTED: Final = Hidden.ENCRYPTED
"""In a record, in place of arguments or of a result that is encrypted with a key that is not at hand."""


def is_encrypted(data: bytes) -> bool:
    """Whether this is an encrypted value."""
    return data.startswith(_MARK)


class Cipher:
    """Encrypts and decrypts.

    Each value has a key of its own, derived from the app's key, the job's id and the field: so the limit of 2^32 values
    a key that random nonces of 96 bits have is never near, however many jobs there are.

    Args:
        namespace: The app's.
        keys: The first encrypts, all decrypt.

    Raises:
        ConfigurationError: The package `cryptography` is not installed.
    """

    def __init__(self, namespace: str, keys: Sequence[bytes]) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ConfigurationError(
                'encryption_key needs the package cryptography: pip install "duestream[encryption]"'
            ) from error
        self._aes, self._invalid = AESGCM, InvalidTag
        self._namespace = values.pack(namespace, "namespace")
        self._keys = tuple((hmac.digest(key, b"duestream key id", "sha256")[:_KEY_ID_BYTES], key) for key in keys)

    def encrypt(self, job_id: str, field: Field, data: bytes) -> bytes:
        """The encrypted value; another one each time."""
        key_id, key = self._keys[0]
        place, nonce = self._place(job_id, field), os.urandom(_NONCE_BYTES)
        return b"".join((_MARK, key_id, nonce, self._aes(_derive(key, place)).encrypt(nonce, data, place)))

    def decrypt(self, job_id: str, field: Field, data: bytes) -> bytes:
        """What was encrypted for this job and this field.

        Raises:
            KeyMissing: It was encrypted with another key than these.
            NotDecryptable: It was altered, or encrypted for another job or field.
        """
        start = len(_MARK)
        key_id, nonce = data[start : start + _KEY_ID_BYTES], data[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]
        place = self._place(job_id, field)
        known = [key for known_id, key in self._keys if known_id == key_id]
        if not known:
            raise KeyMissing(f"{field}: encrypted with a key that is not at hand (encryption_key)")
        for key in known:
            try:
                return self._aes(_derive(key, place)).decrypt(nonce, data[_HEAD_BYTES:], place)
            except (self._invalid, ValueError):  # ValueError: cut off within the nonce or the tag
                continue
        raise NotDecryptable(f"{field}: altered, or encrypted for something else")

    def _place(self, job_id: str, field: Field) -> bytes:
        return self._namespace + values.pack(job_id, "id") + values.pack(field, "field")


def _derive(key: bytes, place: bytes) -> bytes:
    return hmac.digest(key, b"duestream aes 1\x00" + place, "sha256")


def decrypted(cipher: Cipher | None, job_id: str, field: Field, data: bytes) -> bytes:
    """A value as it was before it was encrypted, if it was.

    Raises:
        KeyMissing: No key for it is at hand.
        NotDecryptable: It was altered, or encrypted for another job or field.
    """
    if not is_encrypted(data):
        return data
    if cipher is None:
        raise KeyMissing(f"{field}: encrypted, and no key is at hand (encryption_key)")
    return cipher.decrypt(job_id, field, data)
