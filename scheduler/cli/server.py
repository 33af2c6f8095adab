"""`duestream server`: the embedded server alone, in the foreground."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Final

import click

from scheduler.cli.output import json_option, print_json
from scheduler.errors import ConfigurationError

LOOK_S: Final = 2.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@click.command()
@click.option(
    "--dir", "directory", type=click.Path(file_okay=False, path_type=Path), default=Path(".duestream"),
    show_default=True, help="Where its data lives.",
)  # fmt: skip
@json_option
def server(directory: Path, as_json: bool) -> None:
    """Run a Redis server for this directory.

    It prints its url, and ends with TERM or Ctrl-C, unless other processes still use it. Clients started in the same
    directory find it by themselves.
    """
    from scheduler.embedded import EmbeddedServer

    stop = threading.Event()
    # Before the start: a signal must never skip the stop below.
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in _SIGNALS}
    try:
        with EmbeddedServer(directory) as running:
            print_json({"url": running.url, "pid": running.pid}) if as_json else click.echo(running.url)
            _wait(stop, running.pid)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _wait(stop: threading.Event, pid: int) -> None:
    """Until a signal comes.

    Raises:
        ConfigurationError: The server ended by itself.
    """
    while not stop.wait(LOOK_S):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            raise ConfigurationError("the server has ended, not by this command") from None
