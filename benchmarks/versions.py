"""When and on what something was measured."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Collection
from typing import Any

from benchmarks import machine
from benchmarks.systems import SYSTEMS, System

_ASK = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def about(server: str, systems: Collection[str]) -> dict[str, Any]:
    """For the head of a results file: date, machine, server, and the versions of each system."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": machine.describe(),
        "server": server,
        "versions": {name: versions(SYSTEMS[name]) for name in systems},
    }


def versions(system: System) -> dict[str, str]:
    """Of the packages of a system, in its environment."""
    said = subprocess.check_output([str(system.python), "-c", _ASK, *system.versions], text=True)
    found: dict[str, str] = json.loads(said)
    return found
