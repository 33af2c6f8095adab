"""The command line of producers and operators; `worker.cli` adds the commands that run jobs."""

from __future__ import annotations

import click

from scheduler.cli.acl import acl
from scheduler.cli.cancel import cancel
from scheduler.cli.db import db
from scheduler.cli.doctor import doctor
from scheduler.cli.enqueue import enqueue
from scheduler.cli.function import function
from scheduler.cli.group import Cli
from scheduler.cli.info import info
from scheduler.cli.job import job
from scheduler.cli.queue import queue
from scheduler.cli.server import server
from scheduler.cli.worker import worker

__all__ = ["cli"]


@click.group(
    cls=Cli, name="duestream", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="duestream", prog_name="duestream")
def cli() -> None:
    """Schedule jobs, look at them, cancel them.

    \b
    Without --app or --namespace the only app on the server is meant.
    Exit codes: 0 done, 1 refused or failed, 2 wrong usage; doctor has two more.
    """


for _command in (enqueue, cancel, job, queue, worker, function, db, info, doctor, server, acl):
    cli.add_command(_command)
