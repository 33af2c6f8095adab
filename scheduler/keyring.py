"""The keys of an app: those that sign its jobs, and those that encrypt what they hold. Off unless keys are given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from scheduler.encryption import Cipher
from scheduler.errors import ConfigurationError, InvalidOption
from scheduler.signing import Signatures

Key = str | bytes
Keys = Key | Sequence[Key]
"""One key, or two while they are rotated: the first is used for what is new, both for what is there."""

SIGNING_KEY: Final = "DUESTREAM_SIGNING_KEY"
ENCRYPTION_KEY: Final = "DUESTREAM_ENCRYPTION_KEY"
_LEAST_BYTES: Final = 32
_MOST_KEYS: Final = 2


def check_keys(name: str, given: object) -> tuple[bytes, ...]:
    """Check one key or two; no message shows any of them.

    Raises:
        InvalidOption: Naming the option and what is wrong.
    """
    if given is None:
        return ()
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if not 1 <= len(listed) <= _MOST_KEYS:
        raise InvalidOption(f"{name}: expected one key or two, got {len(listed)}")
    keys = tuple(_bytes_of(name, key) for key in listed)
    if len(set(keys)) != len(keys):
        raise InvalidOption(f"{name}: the two keys are the same")
    return keys


def _bytes_of(name: str, key: object) -> bytes:
    if not isinstance(key, str | bytes):
        raise InvalidOption(f"{name}: expected a str or bytes, got a {type(key).__name__}")
    data = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else bytes(key)
    if len(data) < _LEAST_BYTES:
        raise InvalidOption(
            f"{name}: expected at least {_LEAST_BYTES} random bytes, got {len(data)} "
            '(python -c "import secrets; print(secrets.token_urlsafe(32))" makes one)'
        )
    return data


class Owner(Protocol):
    """Who has keys in its code: an app. Checked ones, by `check_keys`."""

    namespace: str
    signing_keys: tuple[bytes, ...]
    encryption_keys: tuple[bytes, ...]
    accept_unsigned: bool


@dataclass(frozen=True, slots=True)
class Keyring:
    """What an app's keys can do. At least one of the two is there; its text form shows no key.

    Attributes:
        signatures: Sign and verify jobs.
        cipher: Encrypts and decrypts arguments, results and errors.
        accept_unsigned: Run jobs without a signature too, while an app begins to sign.
    """

    signatures: Signatures | None
    cipher: Cipher | None
    accept_unsigned: bool = False

    @property
    def requires_signature(self) -> bool:
        """Whether a job without a signature is refused."""
        return self.signatures is not None and not self.accept_unsigned

    @classmethod
    def of(cls, app: Owner, environment: Mapping[str, str] = os.environ) -> Keyring | None:
        """The keys from the environment, else those in the app's code; None where there are none.

        Raises:
            ConfigurationError: A variable does not hold keys, or `cryptography` is not installed.
        """
        signing = _from(environment, SIGNING_KEY) or app.signing_keys
        encryption = _from(environment, ENCRYPTION_KEY) or app.encryption_keys
        if not signing and not encryption:
            return None
        return cls(
            Signatures(app.namespace, signing) if signing else None,
            Cipher(app.namespace, encryption) if encryption else None,
            app.accept_unsigned,
        )


def cipher_of(keyring: Keyring | None) -> Cipher | None:
    """The cipher, if there are keys for one."""
    return None if keyring is None else keyring.cipher


def _from(environment: Mapping[str, str], name: str) -> tuple[bytes, ...]:
    """Keys in a variable, two with a comma between them."""
    text = environment.get(name)
    if not text:
        return ()
    try:
        return check_keys(name, [key.strip() for key in text.split(",")])
    except InvalidOption as error:
        raise ConfigurationError(str(error)) from None
