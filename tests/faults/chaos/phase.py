"""One phase from the start of its server to the last look at it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler import SyncScheduler
from scheduler.keys import Keys
from tests.faults.chaos import books as bookkeeping
from tests.faults.chaos import columns, inventory
from tests.faults.chaos.calls import ACCOUNTS, OPENING, planned
from tests.faults.chaos.crew import Crew
from tests.faults.chaos.invariants import actions, calls, cycles, marks, money, pace, states
from tests.faults.chaos.invariants import rest as remains
from tests.faults.chaos.invariants.finding import Finding
from tests.faults.chaos.invariants.rest import MEMORY_SHARE, Rest
from tests.faults.chaos.ledger import Ledger
from tests.faults.chaos.producers import Producers
from tests.faults.chaos.server import HOST, Server
from tests.faults.chaos.timeline import play
from tests.faults.chaos.timetable import LEASE_S, Phase
from tests.faults.chaos.workload import LOG, SERVER, app, open_accounts
from tests.faults.chaos.world import World
from tests.faults.proxy import Proxy
from tests.worker.processes import wait_until

WORKERS, CONCURRENCY = 4, 16
GRACE_S = 1.0
POISONS, POISON_S = 1, 40
"""How many of each kind, and how long one may take to be given up, with its pauses: no shorter phase has any."""

SYNC = {columns.FSYNC: "always", columns.POWER_CUT: "everysec", columns.REPLICA: "everysec", columns.QUIET: "always"}
DURABILITY = {columns.FSYNC: "fsync", columns.POWER_CUT: "memory", columns.REPLICA: "replica", columns.QUIET: "fsync"}
REWRITES = {columns.FSYNC: {"auto-aof-rewrite-percentage": "100", "auto-aof-rewrite-min-size": "8mb"}}
"""Where a server's file may be replaced while it grows, as on any server in production: a kill strikes that as well,
and a restart does not read all that has ever been. Where power is cut it may not, for the file is what is cut.
"""
PROMISES = {columns.QUIET: columns.FSYNC}
LEFT_S = 5.0
"""What belongs to a worker has to notice its death within so long."""

PATIENCE_S = 60.0
"""How long a drain is watched: past its limit it is a violation, and what is left is looked at."""

RUN = "CHAOS_RUN"
"""The environment variable by which a phase knows its processes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a phase came to."""

    phase: Phase
    findings: Sequence[Finding]
    injected: Counter[str]
    details: Counter[str]
    states: Counter[str]
    seconds: float
    drained_s: float
    late_ms: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a phase runs: the server's program, the library that fakes its clock, a folder of its own; and whether
    that server's file has to be written anew after a power cut.
    """

    program: Path
    faketime: Path | None
    folder: Path
    rewrites: bool


def run(phase: Phase, place: Place, tell: Callable[[str], None]) -> Outcome:
    """Run one phase, and check everything."""
    started, keys = time.monotonic(), Keys(app.namespace)
    ledger, rest = Ledger(), Rest(keys.prefix)
    with ExitStack() as opened:
        world = _set_up(phase, place, ledger, keys, opened)
        crew = world.crew
        _warm_up(world, rest)
        drained_s = _break(phase, world, tell)
        tell(f"{phase.name}: drained after {drained_s:.1f} s")
        rest.left = inventory.sizes(world.server.admin, keys)
        rest.after = inventory.footprints(crew)
        crew.dismiss_all()
        books = _read(phase, place, world, ledger)
        _look(world, rest, place)
        findings = [*_check(books), *pace.check(books, drained_s, quiet=not phase.faults), *remains.check(rest, books)]
        late = pace.lateness_ms(books)
        percentiles = pace.percentile(late, 0.5), pace.percentile(late, 0.99)
        found = Counter(f"{job.name.partition(':')[2]} {job.state}" for job in books.jobs.values())
        details = world.details + Counter(poisoned=crew.poisoned, workers=crew.born)
        took_s = time.monotonic() - started
        return Outcome(phase, findings, world.injected, details, found, took_s, drained_s, percentiles)


def _set_up(phase: Phase, place: Place, ledger: Ledger, keys: Keys, opened: ExitStack) -> World:
    config = {"appendfsync": SYNC[phase.name], **REWRITES.get(phase.name, {})}

    def add_server(primary: Server | None = None) -> Server:
        folder = place.folder / f"server-{len(list(place.folder.glob('server-*')))}"
        following = {"replicaof": f"{HOST} {primary.port}"} if primary is not None else {}
        return opened.enter_context(
            Server(place.program, folder, config | following, place.faketime, rewrites=place.rewrites)
        )

    place.folder.mkdir(parents=True)
    server = add_server()
    replica = add_server(server) if phase.name == columns.REPLICA else None
    if phase.name == columns.POWER_CUT:
        server.sample()
    proxy = opened.enter_context(Proxy(server.url))
    environment = {LOG: str(place.folder / "actions.log"), SERVER: proxy.url, RUN: str(place.folder)}
    settings = {
        "lease_ms": round(LEASE_S * 1000),
        "concurrency": CONCURRENCY,
        "durability": DURABILITY[phase.name],
        "max_deliveries": states.MAX_DELIVERIES,
        "grace_s": GRACE_S,
    }
    crew = Crew(proxy.url, place.folder, environment, settings, WORKERS)
    opened.callback(crew.close)
    producers = Producers(
        proxy.url, _plan(phase), ledger, random.Random(phase.seed), lambda: world.server.entries(keys.ready("default"))
    )
    opened.callback(producers.stop)
    world = World(phase.name, server, proxy, crew, producers, keys, add_server, replica)
    wait_until(lambda: world.server.admin.zcard(keys.workers) == WORKERS, what="the workers' joining")
    return world


def _plan(phase: Phase) -> list[Any]:
    poisons = POISONS if phase.faults and phase.seconds >= POISON_S else 0
    return planned(phase.seed, phase.jobs, phase.seconds, poisons)


def _warm_up(world: World, rest: Rest) -> None:
    """Open the accounts; what is there then is what must be there in the end."""
    with SyncScheduler(app, url=world.server.url) as scheduler:
        scheduler.result(scheduler.run_after(0, open_accounts, ACCOUNTS, OPENING), timeout=20)
    world.server.sync()
    rest.before = inventory.footprints(world.crew)
    rest.memory_before = inventory.settled_memory(world.server.admin)
    rest.memory_stats.append(inventory.memory_stats(world.server.admin))


def _break(phase: Phase, world: World, tell: Callable[[str], None]) -> float:
    """Let producers and faults loose; returns how long the work took to drain, in seconds."""
    world.producers.start()
    play(phase, world, tell)
    world.producers.wait()
    quiet_since = max(world.struck_at, time.monotonic())
    end = quiet_since + PATIENCE_S
    while any(inventory.sizes(world.server.admin, world.keys).values()) and time.monotonic() < end:
        time.sleep(0.05)
    return time.monotonic() - quiet_since


def _read(phase: Phase, place: Place, world: World, ledger: Ledger) -> bookkeeping.Books:
    opening = {f"a{n}": OPENING for n in range(ACCOUNTS)}
    with SyncScheduler(app, url=world.server.url) as scheduler:
        return bookkeeping.read(
            scheduler,
            world.server.admin,
            PROMISES.get(phase.name, phase.name),
            opening,
            ledger,
            place.folder / "actions.log",
            world.shifts,
            world.losses_ms,
        )


def _look(world: World, rest: Rest, place: Place) -> None:
    """What is left when the workers are gone; then records and documents are removed, and memory is measured."""
    crew, server, url = world.crew, world.server.admin, world.server.url
    rest.keys = inventory.all_keys(server)
    rest.workers, rest.exits = crew.born, crew.misbehaved()
    crew.close()
    mine = f"{RUN}={place.folder}"
    rest.orphans = _left_of(lambda: inventory.processes_with(mine))
    world.proxy.cut_all()  # those on which something was swallowed do not notice that one end is gone
    rest.connections = _left_of(lambda: inventory.connections(server))
    rest.complaints = [f"{log.name} has a traceback" for log in sorted(place.folder.glob("*.log"))
                       if "Traceback" in log.read_text(errors="replace")]  # fmt: skip
    _remove_documents(world)
    later_ms = world.server.now_ms() + inventory.LATER_S * 1000
    if place.faketime is not None:
        world.server.set_clock(inventory.LATER_S)
        wait_until(lambda: world.server.now_ms() >= later_ms, what="the end of time")
    inventory.pass_time(server, inventory.all_keys(server))
    inventory.prune_all(url, world.keys, later_ms)
    goal = round(rest.memory_before * (1 + MEMORY_SHARE))
    rest.memory_after = inventory.settled_memory(server, goal)
    rest.memory_stats.append(inventory.memory_stats(server))


def _left_of(look: Callable[[], list[str]]) -> list[str]:
    """What is still there when it had time to notice that its worker is gone."""
    deadline = time.monotonic() + LEFT_S
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _remove_documents(world: World) -> None:
    server = world.server.admin
    for table in bookkeeping.TABLES:
        for kind in (f"doc:{table}:*", f"table:{table}", f"index:{table}:*"):
            for key in server.scan_iter(match=f"{world.keys.prefix}{kind}", count=1000):
                server.delete(key)


def _check(books: bookkeeping.Books) -> list[Finding]:
    rooms = (money, marks, actions, states, calls, cycles)
    return [finding for room in rooms for finding in room.check(books)]
