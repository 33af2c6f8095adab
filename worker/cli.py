"""The console script `duestream`: the commands of `scheduler.cli`, and those that run jobs: worker, promoter, dev."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scheduler.cli.moments import Duration
from scheduler.durability import Durability

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    from scheduler.app import App
    from worker.settings import WorkerSettings

_SPARE_S = 15.0
"""What a stop may take beyond the time of grace before it is made a hard one."""


class Names(click.ParamType):  # type: ignore[type-arg] # generic since click 8.4 only
    """Names with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002
        return (
            value if isinstance(value, tuple) else tuple(name.strip() for name in str(value).split(",") if name.strip())
        )


@dataclass(frozen=True, slots=True)
class Logging:
    """How a process logs."""

    verbosity: int
    as_json: bool

    def configure(self) -> None:
        from worker import logs

        logs.configure(self.verbosity, as_json=self.as_json)

    def arguments(self) -> list[str]:
        """The same again, for a child."""
        flag = {1: ["-v"], -1: ["-q"]}.get(self.verbosity, [])
        return [*flag, "--log-json"] if self.as_json else flag


def leave_on_term() -> None:
    """End on TERM while there is nothing to stop yet: for the first process of a container the system does not."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))


def main() -> None:
    """Run the command line."""
    from scheduler.cli import cli

    for command in COMMANDS:
        cli.add_command(command)
    cli(prog_name="duestream")


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_URL = click.option(
    "-u", "--url", envvar="REDIS_URL", show_envvar=True, help="The server; else the app's, else this directory's own."
)
_LOGGING = _options(
    click.option("-v", "--verbose", is_flag=True, help="Log every step."),
    click.option(
        "-q", "--quiet", is_flag=True, help="Log only warnings and errors; of jobs that fail alike one a minute."
    ),
    click.option("--log-json", is_flag=True, envvar="DUESTREAM_LOG_JSON", show_envvar=True, help="Log JSON lines."),
)
_LEASE = _options(
    click.option(
        "--lease", type=Duration(), default="10s", show_default=True, envvar="DUESTREAM_LEASE", show_envvar=True,
        help="How soon the work of a dead worker is taken up.",
    ),
    click.option(
        "--max-deliveries", type=int, default=5, show_default=True, envvar="DUESTREAM_MAX_DELIVERIES",
        show_envvar=True, help="Deaths of workers after which a job fails.",
    ),
)  # fmt: skip
_DURABILITY = _options(
    click.option(
        "--durability", type=click.Choice([one.value for one in Durability]), envvar="DUESTREAM_DURABILITY",
        show_envvar=True, help="What an action's ack must outlive before it starts. [default: as the app says]",
    ),
    click.option(
        "--replicas", type=int, envvar="DUESTREAM_REPLICAS", show_envvar=True,
        help="With --durability replica: how many must have it. [default: as the app says]",
    ),
    click.option(
        "--vouch-fsync", is_flag=True, envvar="DUESTREAM_VOUCH_FSYNC", show_envvar=True,
        help="With --durability fsync: believe a server that does not show its settings.",
    ),
)  # fmt: skip
_WORK = _options(
    click.option(
        "-c", "--concurrency", type=int, default=100, show_default=True, envvar="DUESTREAM_CONCURRENCY",
        show_envvar=True, help="Jobs at once, in each process.",
    ),
    click.option(
        "-Q", "--queues", type=Names(), envvar="DUESTREAM_QUEUES", show_envvar=True,
        help="default,mail: queues to take jobs from. [default: all that the app names]",
    ),
    click.option(
        "--grace", type=Duration(), default="25s", show_default=True, envvar="DUESTREAM_GRACE", show_envvar=True,
        help="How long actions may go on after a stop.",
    ),
    _LEASE,
    _DURABILITY,
)  # fmt: skip


@click.command()
@click.argument("target", metavar="MODULE:APP")
@_URL
@_WORK
@click.option(
    "-w", "--processes", type=click.IntRange(1, 512), default=1, show_default=True, envvar="DUESTREAM_PROCESSES",
    show_envvar=True, help="Worker processes.",
)  # fmt: skip
@click.option("-b", "--burst", is_flag=True, help="End when nothing is due.")
@click.option("--no-keeper", is_flag=True, envvar="DUESTREAM_NO_KEEPER", show_envvar=True,
              help="Without the process that renews while a handler blocks all of the worker.")  # fmt: skip
@click.option("--no-promote", is_flag=True, envvar="DUESTREAM_NO_PROMOTE", show_envvar=True,
              help="Leave promoter and janitor to others.")  # fmt: skip
@click.option("--life-file", type=click.Path(dir_okay=False, path_type=Path), envvar="DUESTREAM_LIFE_FILE",
              show_envvar=True, help="Write this file every 5 s while it works; only with one process.")  # fmt: skip
@click.option("--watch-stdin", is_flag=True, hidden=True)
@_LOGGING
def worker(
    target: str, url: str | None, processes: int, life_file: Path | None, watch_stdin: bool, **options: Any
) -> None:
    """Run the jobs of an app.

    Until TERM or Ctrl-C: mutations go back then, actions may finish within --grace. A second one ends it at once.
    """
    leave_on_term()
    logging = _logging(options)
    logging.configure()
    from scheduler.cli.target import load_app
    from scheduler.location import locate

    app = load_app(target)
    url = locate(app, url)
    settings = _settings(app, options)
    _check_life_file(life_file, processes)
    if processes > 1:
        _supervise(app, url, processes, settings, [target, *logging.arguments()])
        return
    from worker import process
    from worker.serving import serve

    process.run(
        lambda stop: serve(app, url, settings, stop, life=life_file),
        watch_parent_s=settings.grace_s + _SPARE_S if watch_stdin else None,
    )


def _check_life_file(life_file: Path | None, processes: int) -> None:
    if life_file is not None and processes > 1:
        raise click.UsageError("--life-file works with one process; the supervisor watches over several.")
    if life_file is not None and not os.access(life_file.parent, os.W_OK):
        raise click.UsageError(f"--life-file: nothing can be written to {life_file.parent}")


@click.command()
@click.option("-n", "--namespace", envvar="DUESTREAM_NAMESPACE", show_envvar=True, help="The app's namespace.")
@click.option("-a", "--app", "target", metavar="MODULE:APP", help="The app, instead of its namespace.")
@_URL
@_LEASE
@click.option("--watch-stdin", is_flag=True, hidden=True)
@_LOGGING
def promoter(namespace: str | None, target: str | None, url: str | None, watch_stdin: bool, **options: Any) -> None:
    """Run promoter and janitor alone, for workers with --no-promote."""
    if target is None and namespace is None:
        raise click.UsageError("Pass --namespace or --app.")
    _logging(options).configure()
    from scheduler.cli.target import load_app
    from scheduler.location import locate
    from scheduler.settings import check_namespace
    from worker import process
    from worker.promoting import promote
    from worker.settings import WorkerSettings

    app = None if target is None else load_app(target)
    url = locate(app, url)
    name = app.namespace if app is not None else check_namespace(namespace)
    settings = WorkerSettings(lease_ms=options["lease"], max_deliveries=options["max_deliveries"])
    process.run(
        lambda stop: promote(name, url, stop, lease_ms=settings.lease_ms, max_deliveries=settings.max_deliveries),
        watch_parent_s=_SPARE_S if watch_stdin else None,
    )


@click.command()
@click.argument("target", metavar="MODULE:APP")
@_URL
@click.option("-c", "--concurrency", type=int, default=100, show_default=True, envvar="DUESTREAM_CONCURRENCY",
              show_envvar=True, help="Jobs at once.")  # fmt: skip
@click.option("--reload/--no-reload", default=True, help="Start the worker again when a Python file changes.")
@_LOGGING
def dev(target: str, url: str | None, concurrency: int, reload: bool, **options: Any) -> None:
    """Run a server, and a worker that reloads.

    The server is this directory's own; the worker starts again when the code changes.
    """
    logging = _logging(options)
    logging.configure()
    from worker import dev as development

    # Short grace: nobody waits 25 s for an edit to take effect.
    arguments = ["worker", target, "--processes", "1", "--concurrency", str(concurrency), "--grace", "2s"]
    # Replicas and fsyncs are for servers that somebody depends on.
    arguments += ["--durability", "memory", "--watch-stdin", *logging.arguments()]
    code = development.run(arguments, url=url, target=target, reload=reload)
    raise SystemExit(code)


COMMANDS: tuple[click.Command, ...] = (worker, promoter, dev)


def _logging(options: dict[str, Any]) -> Logging:
    return Logging(options["verbose"] - options["quiet"], options["log_json"])


def _settings(app: App, options: dict[str, Any]) -> WorkerSettings:
    from worker.settings import WorkerSettings

    return WorkerSettings(
        queues=options["queues"] or queues_of(app),
        concurrency=options["concurrency"],
        lease_ms=options["lease"],
        max_deliveries=options["max_deliveries"],
        grace_s=options["grace"] / 1000,
        burst=options["burst"],
        promote=not options["no_promote"],
        keeper=not options["no_keeper"],
        durability=options["durability"],
        replicas=options["replicas"],
        vouch_fsync=options["vouch_fsync"],
    )


def queues_of(app: App) -> tuple[str, ...]:
    """All queues that the app's functions name, and "default", which comes first."""
    from scheduler.settings import DEFAULT_QUEUE

    return tuple(dict.fromkeys([DEFAULT_QUEUE, *sorted({one.queue for one in app.functions.values()})]))


def child_arguments(settings: WorkerSettings, rest: list[str]) -> list[str]:
    """The command line of one of several processes: everything decided but the url, which the environment has."""
    switches = {
        "--burst": settings.burst, "--no-promote": not settings.promote, "--no-keeper": not settings.keeper,
        "--vouch-fsync": settings.vouch_fsync,
    }  # fmt: skip
    flags = [name for name, on in switches.items() if on]
    flags += [] if settings.durability is None else ["--durability", settings.durability]
    flags += [] if settings.replicas is None else ["--replicas", str(settings.replicas)]
    return [
        "worker", *rest, "--processes", "1", "--watch-stdin", *flags,
        "--queues", ",".join(settings.queues), "--concurrency", str(settings.concurrency),
        "--lease", f"{settings.lease_ms}ms", "--grace", f"{round(settings.grace_s * 1000)}ms",
        "--max-deliveries", str(settings.max_deliveries),
    ]  # fmt: skip


def _supervise(app: App, url: str, processes: int, settings: WorkerSettings, rest: list[str]) -> None:
    from functools import partial

    from worker import process
    from worker.child import Child
    from worker.serving import check
    from worker.supervisor import Supervisor

    check(app, url, settings)
    code = Supervisor(child_arguments(settings, rest), processes, partial(Child, url=url), burst=settings.burst).run()
    if code:
        process.leave(code)
