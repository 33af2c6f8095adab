"""Numbers that Redis holds as text, and that anybody may have written over."""

from __future__ import annotations


def count_of(text: bytes | None) -> int:
    """A number that somebody looks at; 0 where it is none, for nobody's work hangs on it."""
    return int(text) if text is not None and text.isdigit() and len(text) < 20 else 0
