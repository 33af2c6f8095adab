"""The faults: each is injected, and most are undone. One that finds nothing to strike is tried again a moment later."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import redis

from scheduler.keys import GROUP
from tests.faults.chaos import columns
from tests.faults.chaos.server import HOST
from tests.faults.chaos.timetable import Timed
from tests.faults.chaos.world import Shift, World
from tests.faults.rules import Fault as Wire
from tests.faults.rules import Rule

T = TypeVar("T")

JUMP_S = -3600
STEPS = ("schedule", "promote", "xreadgroup", "read", "begin", "commit", "finish", "retry", "renew", "describe")
"""Steps that come all the time; a fault that has waited for one too long takes the next request that comes."""

PATIENCE_S = 2.0
ON_THE_WIRE = (
    Wire.CUT_AFTER, Wire.CUT_AFTER, Wire.SWALLOW, Wire.CUT_BEFORE, Wire.HALF_AFTER, Wire.HALF_BEFORE, Wire.RESET_AFTER,
    Wire.DROP,
)  # fmt: skip


class Fault(ABC):
    """One fault.

    Args:
        timed: When, and the dice.
    """

    needs_server = True
    """Whether it waits while the server is down."""

    def __init__(self, timed: Timed) -> None:
        self.timed = timed

    @abstractmethod
    def inject(self, world: World) -> bool:
        """Strike; False where there is nothing to strike now."""

    def undo(self, world: World) -> bool:
        """Put back what can be put back; False where that has to wait."""
        return True

    def choose(self, among: Sequence[T]) -> T:
        """One of several, by the dice."""
        return among[int(self.timed.pick * len(among))]


class Kill(Fault):
    """A worker dies by SIGKILL."""

    needs_server = False

    def inject(self, world: World) -> bool:
        alive = world.crew.alive()
        if alive:
            world.crew.kill(self.choose(alive))
        return bool(alive)


class Stop(Fault):
    """A worker stands still for a third of a lease to three."""

    needs_server = False

    def inject(self, world: World) -> bool:
        going = [one for one in world.crew.alive() if not one.stopped]
        if going:
            self._member = self.choose(going)
            world.crew.stop(self._member)
        return bool(going)

    def undo(self, world: World) -> bool:
        world.crew.go_on(self._member)
        return True


class Cut(Fault):
    """A connection is killed by the server, or by the network: before a request, after it, in the middle of a reply."""

    def inject(self, world: World) -> bool:
        ways = len(ON_THE_WIRE) + 2
        way = int(self.timed.pick * ways)
        if way == 0:
            world.details["all connections cut"] += 1
            return world.proxy.cut_all(reset=self.timed.pick * ways < 0.5) > 0
        if way == 1:
            world.details["killed by CLIENT KILL"] += 1
            return self._kill_client(world)
        wire, step = ON_THE_WIRE[way - 2], STEPS[int(self.timed.pick * ways * 1000) % len(STEPS)]
        world.details[f"{wire}"] += 1
        late = time.monotonic() + PATIENCE_S
        if all(rule.struck for rule in world.rules):
            world.proxy.clear()
            world.rules.clear()
        world.rules.append(Rule(wire, when=lambda request: request.step == step or time.monotonic() > late))
        world.proxy.add(world.rules[-1])
        return True

    def _kill_client(self, world: World) -> bool:
        admin = world.server.admin
        own = admin.client_id()
        others = [client["id"] for client in admin.client_list(_type="normal") if int(client["id"]) != own]
        # A server answers 0 where the client has gone meanwhile.
        return bool(others) and bool(admin.client_kill_filter(_id=self.choose(others)))


class Restart(Fault):
    """Redis dies by SIGKILL, and is started again with what it has written."""

    def inject(self, world: World) -> bool:
        world.server.kill()
        return True

    def undo(self, world: World) -> bool:
        world.server.start()
        return True


class PowerCut(Restart):
    """Redis' machine loses its power: up to the last second of the file is gone."""

    def inject(self, world: World) -> bool:
        world.losses_ms.append(round(time.time() * 1000))
        world.details["bytes lost in power cuts"] += world.server.cut_power(self.timed.pick)
        return True

    def undo(self, world: World) -> bool:
        world.server.recover()
        return True


class Failover(Fault):
    """Redis dies, and its replica takes its place; a new replica is made for the next time."""

    def inject(self, world: World) -> bool:
        replica = world.replica
        if replica is None or not replica.follows():
            return False
        world.losses_ms.append(round(time.time() * 1000))
        world.server.kill()
        return True

    def undo(self, world: World) -> bool:
        replica = world.replica
        assert replica is not None
        replica.promote()
        world.others.append(world.server)
        world.server = replica
        world.proxy.retarget(replica.url)
        world.proxy.cut_all()
        world.replica = world.add_server(replica)
        return True


class Full(Fault):
    """Memory is full for a while."""

    def inject(self, world: World) -> bool:
        used = int(world.server.admin.info("memory")["used_memory"])
        world.server.admin.config_set("maxmemory", used)
        return True

    def undo(self, world: World) -> bool:
        world.server.admin.config_set("maxmemory", 0)
        return True


class Slow(Fault):
    """The server does nothing at all for a while."""

    def inject(self, world: World) -> bool:
        def sleep() -> None:
            with redis.Redis(HOST, world.server.port, socket_timeout=30) as own:
                own.execute_command("DEBUG", "SLEEP", self.timed.lasts_s)

        self._thread = threading.Thread(target=sleep)
        self._thread.start()
        return True

    def undo(self, world: World) -> bool:
        self._thread.join()
        return True


class Jump(Fault):
    """The server's clock jumps an hour back, and later an hour forward.

    Not the other way round: what was scheduled meanwhile would rightly wait for an hour.
    """

    def inject(self, world: World) -> bool:
        self._since_ms = world.server.now_ms() + JUMP_S * 1000
        world.server.set_clock(JUMP_S)
        return True

    def undo(self, world: World) -> bool:
        world.server.set_clock(0)
        world.shifts.append(Shift(self._since_ms, JUMP_S * 1000))
        return True


class Flush(Fault):
    """All scripts are forgotten."""

    def inject(self, world: World) -> bool:
        world.server.admin.script_flush()
        return True


class Destroy(Fault):
    """The consumer group is destroyed."""

    def inject(self, world: World) -> bool:
        return bool(world.server.admin.xgroup_destroy(world.keys.ready("default"), GROUP))


class Forget(Fault):
    """A consumer is deleted while it holds entries: they stay in the stream, and nobody is ever handed them again."""

    def inject(self, world: World) -> bool:
        ready = world.keys.ready("default")
        try:
            found: Any = world.server.admin.xinfo_consumers(ready, GROUP)
            holding = [one["name"] for one in found if one["pending"]]
            if not holding:
                return False
            taken = int(world.server.admin.xgroup_delconsumer(ready, GROUP, self.choose(sorted(holding))))
        except redis.ResponseError:  # the group has been destroyed, and nobody has made it again yet
            return False
        world.details["entries of deleted consumers"] += taken
        return taken > 0


class Roll(Fault):
    """TERM to every worker; for each another starts at once."""

    needs_server = False

    def inject(self, world: World) -> bool:
        for member in world.crew.alive():
            world.crew.dismiss(member)
        return True


class Storm(Fault):
    """Jobs are canceled by the dozen: pending ones, running ones, ended ones, and some that never were."""

    needs_server = False

    def inject(self, world: World) -> bool:
        world.producers.storm(self.timed.pick)
        return True


KINDS: dict[str, type[Fault]] = {
    columns.KILL: Kill, columns.STOP: Stop, columns.CUT: Cut, columns.RESTART: Restart, columns.POWER: PowerCut,
    columns.FAILOVER: Failover,
    columns.FULL: Full, columns.SLOW: Slow, columns.JUMP: Jump, columns.FLUSH: Flush, columns.DESTROY: Destroy,
    columns.FORGET: Forget, columns.ROLL: Roll, columns.STORM: Storm,
}  # fmt: skip
