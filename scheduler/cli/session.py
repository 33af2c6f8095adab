"""The app and the server that a command means: `--url`, `--app`, `--namespace`, or the only app on the server."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scheduler.cli.moments import Duration
from scheduler.errors import ConfigurationError

if TYPE_CHECKING:
    from scheduler.app import App
    from scheduler.blocking import SyncScheduler
    from scheduler.clock import RedisClock
    from scheduler.operations import Producer
    from scheduler.store import BlockingStore


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection for one command. Without `--app` the app knows its namespace and no functions."""

    app: App
    store: BlockingStore
    scheduler: SyncScheduler
    producer: Producer

    @property
    def clock(self) -> RedisClock:
        """Redis time."""
        return self.producer.clock

    @property
    def now_ms(self) -> int:
        """Redis time in epoch ms."""
        return self.clock.now_ms()


@dataclass(frozen=True, slots=True)
class Target:
    """What was said about the server and the app; nothing is imported or connected yet."""

    url: str | None = field(repr=False)  # it may hold a password
    app: str | None
    namespace: str | None
    timeout_s: float | None = None

    def load(self) -> App | None:
        """Import the app where one was named.

        Raises:
            ConfigurationError: In one line, whatever went wrong.
        """
        from scheduler.cli.target import load_app

        return None if self.app is None else load_app(self.app)

    @contextlib.contextmanager
    def open(self) -> Iterator[Session]:
        """Connect.

        Raises:
            ConfigurationError: No server is named or usable, or it holds no app or several.
            Unavailable: The server does not answer.
        """
        from scheduler.attempts import TIMEOUT_S
        from scheduler.clients import blocking_client
        from scheduler.location import locate

        app = self.load()
        client = blocking_client(locate(app, self.url))
        try:
            yield _session(client, app, self.namespace, TIMEOUT_S if self.timeout_s is None else self.timeout_s)
        finally:
            client.close()


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`, `--app` and `--namespace`, as its first argument `target`."""

    @click.option("-u", "--url", envvar="REDIS_URL", show_envvar=True, metavar="URL", help="The Redis server.")
    @click.option("-a", "--app", "app_name", metavar="MODULE:APP", help="Import this app.")
    @click.option(
        "-n",
        "--namespace",
        envvar="DUESTREAM_NAMESPACE",
        show_envvar=True,
        metavar="NAME",
        help="The app's namespace, without importing it.",
    )
    @click.option(
        "--redis-timeout",
        type=Duration(),
        metavar="DURATION",
        help="Wait no longer for Redis. [default: 5s]",
    )
    @functools.wraps(command)
    def with_target(
        *args: Any,
        url: str | None,
        app_name: str | None,
        namespace: str | None,
        redis_timeout: int | None,
        **options: Any,
    ) -> Any:
        source = click.get_current_context().get_parameter_source("namespace")
        if app_name is not None and namespace is not None:
            if source is ParameterSource.COMMANDLINE:
                raise click.UsageError("Pass --app or --namespace, not both.")
            namespace = None  # a flag goes before the environment
        return command(
            Target(url, app_name, namespace, redis_timeout / 1000 if redis_timeout is not None else None),
            *args,
            **options,
        )

    return with_target


def _session(client: Any, app: App | None, namespace: str | None, timeout_s: float) -> Session:
    from scheduler import operations
    from scheduler.app import App
    from scheduler.blocking import SyncScheduler
    from scheduler.clock import RedisClock
    from scheduler.ids import JobIds
    from scheduler.keyring import Keyring
    from scheduler.keys import Keys
    from scheduler.store import BlockingStore

    if app is None:
        found = BlockingStore(Keys(""), client, timeout_s=timeout_s)
        app = App(_only_namespace(found) if namespace is None else namespace)
    store = BlockingStore(Keys(app.namespace), client, timeout_s=timeout_s)
    clock = RedisClock()
    store.drive(operations.read_clock(clock))
    producer = operations.Producer(app, JobIds(clock.now_ms), clock, keyring=Keyring.of(app))
    return Session(app, store, SyncScheduler(app, client=client, timeout=timeout_s).open(), producer)


def _only_namespace(store: BlockingStore) -> str:
    from scheduler.inspector import find_namespaces

    found = store.drive(find_namespaces())
    listed = ", ".join(found.names[:20]) + (", …" if len(found.names) > 20 else "")
    if not found.complete:
        so_far = f" (found so far: {listed})" if listed else ""
        raise ConfigurationError(f"the server holds too many keys to look for its app: pass --namespace{so_far}")
    if not found.names:
        raise ConfigurationError("no app has used this server yet: pass --app or --namespace, or start a worker")
    if len(found.names) > 1:
        raise ConfigurationError(f"several apps use this server: pass --namespace with one of {listed}")
    return found.names[0]
