"""What a live deployment has registered of a function: written by `Function.describe` as JSON, read here."""

from __future__ import annotations

import json
from typing import Any, Final

DAMAGED: Final[dict[str, Any]] = {}
"""What is read of a description that nobody wrote so: nothing is known of the function."""


def read_description(text: bytes) -> dict[str, Any]:
    """Read a description; `DAMAGED` where it is not one: it hides no other function."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return DAMAGED
    return found if _is_description(found) else DAMAGED


def _is_description(found: object) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("kind"), str)
        and isinstance(found.get("internal"), bool)
        and isinstance(found.get("queue"), str)
        and isinstance(found.get("parameters"), list)
        and all(map(_is_parameter, found["parameters"]))
    )


def _is_parameter(one: object) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("required"), bool)
        and isinstance(one.get("kind"), str)
        and isinstance(one.get("schema"), dict)
    )
