"""How a lease is divided: how often it is renewed, and when others judge; all in ms."""

from __future__ import annotations

DEFAULT_LEASE_MS = 10_000
DEFAULT_MAX_DELIVERIES = 5

RENEWALS = 4
"""Renewals in a lease: two may be missed before anyone takes the work away."""


def renewed_every_ms(lease_ms: int) -> int:
    """Between two renewals."""
    return lease_ms // RENEWALS


def silent_after_ms(lease_ms: int) -> int:
    """After so long a worker has missed a second renewal in a row, and its deliveries are about to be lost."""
    return lease_ms * 5 // 8


def lost_after_ms(lease_ms: int) -> int:
    """So long after its last renewal what a worker holds is lost (`redeliver.lua` knows it too); the rest of the lease
    is for those who take it up."""
    return lease_ms * 3 // 4


def heartbeat_ms(lease_ms: int) -> int:
    """So long a worker that has fallen silent is remembered."""
    return 6 * lease_ms
