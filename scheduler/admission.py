"""What a server must be before anything of duestream uses it; what is not supported is refused with a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scheduler.durability import FSYNC, Durability, Safety
from scheduler.errors import ConfigurationError
from scheduler.facts import OLDEST, read_facts, version_of
from scheduler.refusals import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scheduler.operations import Steps

_PROBE: Final = "#!lua flags=no-writes\nreturn redis.call('XLEN', KEYS[1])"
_MISSING: Final = ("unknown command", "unknown redis command", "unsupported", "not supported")


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself.

    Attributes:
        name: 'Redis 7.0.15'.
        version: (7, 0): of Redis, or the one that it is compatible with.
        cluster: It is a node of a cluster.
        primary: 'HOST:PORT' where it is a replica, else ''.
        eviction: Its `maxmemory-policy`, '' where it does not tell.
    """

    name: str
    version: tuple[int, ...]
    cluster: bool
    primary: str
    eviction: str

    @classmethod
    def of(cls, info: bytes) -> Server:
        """Read the reply to INFO."""
        facts = read_facts(info)
        return cls(
            name=f"Valkey {facts['valkey_version']}"
            if "valkey_version" in facts
            else f"Redis {facts.get('redis_version', '')}",
            version=version_of(facts),
            cluster=facts.get("cluster_enabled") == "1",
            primary=f"{facts.get('master_host')}:{facts.get('master_port')}" if facts.get("role") == "slave" else "",
            eviction=facts.get("maxmemory_policy", ""),
        )

    def refusal(self) -> str:
        """Why no client can use it, '' where all can."""
        if self.version < OLDEST:
            return f"{self.name} is too old: duestream needs Redis 7.0 or newer, or Valkey"
        if self.cluster:
            return "the server is a node of a cluster, which duestream does not support: name one that stands alone"
        if self.primary:
            return f"the server is a read-only replica: name its primary, {self.primary}"
        return ""

    def refusal_for_workers(self) -> str:
        """Why no worker can use it, '' where all can."""
        if self.eviction.startswith("allkeys-"):
            return (
                f"the server's maxmemory-policy is {self.eviction}, which deletes waiting jobs without a word: "
                "set it to noeviction"
            )
        return self.refusal()


def admit_client(prefix: str) -> Steps[None]:
    """Refuse a server that clients cannot use. One that does not let itself be asked is taken as it is.

    Args:
        prefix: The prefix of the app's keys.

    Raises:
        ConfigurationError: It is too old, a node of a cluster or a replica, or it has no scripts or no streams.
    """
    server = yield from _ask()
    _refuse(server.refusal() if server else "")
    yield from _probe(prefix)


def admit_worker(prefix: str, safety: Safety, wait_ms: int) -> Steps[bool]:
    """Refuse a server that workers cannot use, or that does not give the safety they ask for (C7.2).

    Args:
        prefix: The prefix of the app's keys.
        safety: What they ask for.
        wait_ms: How long replicas may take to answer.

    Returns:
        Whether each ack is to be proven; False: nothing is asked for, or somebody vouches for it.

    Raises:
        ConfigurationError: As for clients; or it evicts keys; or its settings or replicas are not as they must be.
    """
    server = yield from _ask()
    _refuse(server.refusal_for_workers() if server else "")
    yield from _probe(prefix)
    command = safety.proof(wait_ms)
    if command is None:
        return False
    try:
        doubt = safety.doubt((yield command))
    except (ConfigurationError, ServerError) as error:
        if safety.durability is Durability.REPLICA:
            raise ConfigurationError(f"durability replica: the server refuses WAIT: {error}") from error
        if not safety.vouched:
            raise ConfigurationError(_unseen(str(error))) from error
        return False
    _refuse(doubt and _doubtful(safety, doubt))
    return True


def _ask() -> Steps[Server | None]:
    try:
        return Server.of((yield ("INFO",)))
    except (ConfigurationError, ServerError):
        return None  # forbidden or renamed: the credentials have been accepted before


def _probe(prefix: str) -> Steps[None]:
    """Run the smallest script on a stream."""
    try:
        yield ("EVAL", _PROBE, 1, f"{prefix}ready:default")
    except ServerError as error:
        if any(word in str(error).lower() for word in _MISSING):
            raise ConfigurationError(f"the server has no Lua scripts or no streams: {error}") from error


def _refuse(reason: str) -> None:
    if reason:
        raise ConfigurationError(reason)


def _doubtful(safety: Safety, doubt: str) -> str:
    if safety.durability is Durability.REPLICA:
        return f"durability replica: the server has too few replicas: {doubt}"
    return f"durability fsync: the server must have {_list(FSYNC)}, but {doubt}"


def _unseen(said: str) -> str:
    return (
        f"durability fsync: the server does not show its settings ({said}), so that nobody knows whether it has "
        f"{_list(FSYNC)}: allow this user +config|get, or vouch for it with --vouch-fsync"
    )


def _list(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
