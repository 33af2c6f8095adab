"""Workers without work."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from itertools import dropwhile, takewhile
from typing import Any

from benchmarks import machine
from benchmarks.cases.asked import Asked
from benchmarks.stage import Stage

ALONE = 25
"""So many workers share a process, where there are more than one."""

SETTLED_S = 5.0


def idle(stage: Stage, asked: Asked) -> dict[str, Any]:
    """What they send the server a second, counted by MONITOR: what scripts run inside is told apart."""
    if asked.workers == 1:
        stage.start()
    else:
        each = min(ALONE, asked.workers)
        line = [sys.executable, "-m", "benchmarks.many_workers", str(each)]
        stage.run([line] * (asked.workers // each))
    present = wait_for(stage, asked.workers)
    cpu_s = machine.cpu_s(stage.roots)
    sent, inside = monitored(stage, asked.seconds)
    return {
        "workers": present,
        "seconds": asked.seconds,
        "sent_per_s": round(sent.total() / asked.seconds, 2),
        "inside_per_s": round(inside.total() / asked.seconds, 2),
        "by_command": {name: round(count / asked.seconds, 2) for name, count in sent.most_common()},
        "worker_cpu_cores": round((machine.cpu_s(stage.roots) - cpu_s) / asked.seconds, 4),
        "connections": int(stage.server.client.info("clients")["connected_clients"]),
    }


def wait_for(stage: Stage, workers: int, most_s: float = 60.0) -> int:
    """Until so many workers have said that they are there, and have calmed down."""
    client, deadline = stage.server.client, time.monotonic() + most_s
    present = 0
    while present < workers and time.monotonic() < deadline:
        present = sum(int(client.zcard(key)) for key in client.scan_iter("*:workers"))
        time.sleep(0.1)
    time.sleep(SETTLED_S)
    return present


def monitored(stage: Stage, seconds: float) -> tuple[Counter[str], Counter[str]]:
    """Commands by name that were sent to the server, and that scripts ran inside it."""
    sent: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    begin, end = "the begin of the watch", "the end of the watch"
    client: Any = stage.server.client
    timer = threading.Timer(seconds, lambda: client.echo(end))
    with client.monitor() as monitor:
        client.echo(begin)  # its connection, and that of the end, greets the server before anything counts
        timer.start()
        heard = dropwhile(lambda one: begin not in one["command"], monitor.listen())
        next(heard)
        for one in takewhile(lambda one: end not in one["command"], heard):
            (inside if one["client_type"] == "lua" else sent)[one["command"].split()[0].lower()] += 1
    timer.join()
    return sent, inside
