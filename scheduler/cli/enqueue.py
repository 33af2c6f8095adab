"""`duestream enqueue`: schedule one call, or many from NDJSON."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final

import click

from scheduler.cli.moments import Duration, Moment
from scheduler.cli.output import as_text, json_option, print_json
from scheduler.cli.session import Session, Target, target_options
from scheduler.errors import DuestreamError, InvalidOption

if TYPE_CHECKING:
    from scheduler.cli.feed import Defaults

LONG: Final = 1_000_000
"""Bytes of input above which a bar is shown on a terminal."""


@click.command()
@click.argument("name", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--args", "json_args", metavar="JSON", help="The arguments: an object by name, an array by position.")
@click.option("--from", "source", type=click.File("rb"), metavar="FILE", help="NDJSON, a call a line; - for stdin.")
@click.option("--after", type=Duration(), metavar="DURATION", help="Wait so long: 500ms, 30s, 5m, 2h, 1d, 1h30m.")
@click.option("--at", type=Moment(), metavar="TIME", help="Run at 2030-01-01T09:00Z, or at epoch milliseconds.")
@click.option("--queue", metavar="NAME", help="Where the job waits. [default: the function's queue]")
@click.option("--key", metavar="TEXT", help="Idempotency key: a second job with it is not made.")
@click.option("--allow-unknown", is_flag=True, help="Take a function that no live worker has registered.")
@click.option("--wait", is_flag=True, help="Wait for the end, and print the result.")
@click.option("--timeout", type=Duration(), metavar="DURATION", help="Wait no longer than this.")
@json_option
@target_options
def enqueue(
    target: Target,
    name: str | None,
    pairs: tuple[str, ...],
    source: IO[bytes] | None,
    json_args: str | None,
    **options: Any,
) -> None:
    """Schedule a call of function NAME, and print the job's id.

    \b
    duestream enqueue shop:place_order item=42 gift=true --after 5m
    duestream enqueue shop:place_order --args '{"item": 42}' --wait
    duestream enqueue --from calls.ndjson

    A line of NDJSON: {"function": "shop:place_order", "args": {"item": 42}, "after": "5s"}; "at", "queue" and "key"
    are known too, and NAME and the options stand in for what a line leaves out. Bad lines are reported, the others
    scheduled.
    """
    _check_usage(name, pairs, source, json_args, options)
    from scheduler.cli.feed import Defaults

    chosen = Defaults(name, *(options[one] for one in ("after", "at", "queue", "key", "allow_unknown")))
    with target.open() as session:
        if source is not None:
            _enqueue_many(session, source, chosen, as_json=options["as_json"])
            return
        _enqueue_one(session, chosen, pairs, json_args, options)


def _check_usage(
    name: str | None,
    pairs: tuple[str, ...],
    source: IO[bytes] | None,
    json_args: str | None,
    options: dict[str, Any],
) -> None:
    wrong = {
        "Pass the function's NAME, or --from.": name is None and source is None,
        "Pass KEY=VALUE or --args, not both.": bool(pairs) and json_args is not None,
        "Pass --after or --at, not both.": options["after"] is not None and options["at"] is not None,
        "--timeout goes with --wait.": options["timeout"] is not None and not options["wait"],
        "--from brings the arguments; leave out KEY=VALUE and --args.": source is not None
        and (bool(pairs) or json_args is not None),
        "--wait and --key are for one job, not for --from.": source is not None
        and (options["wait"] or options["key"] is not None),
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise click.UsageError(message)
    for pair in pairs:
        if "=" not in pair[1:]:
            raise click.UsageError(f"Expected KEY=VALUE, got {pair[:60]!r}.")


def _enqueue_one(
    session: Session, chosen: Defaults, pairs: tuple[str, ...], json_args: str | None, options: dict[str, Any]
) -> None:
    from scheduler.cli.feed import make_call, read_arguments, send
    from scheduler.cli.signature import Signatures
    from scheduler.script_call import Word

    signature = Signatures(session, allow_unknown=chosen.allow_unknown).find(str(chosen.function))
    arguments = signature.parse_pairs(pairs) if json_args is None else read_arguments(_load_json(json_args), signature)
    call = make_call(signature, arguments, chosen)
    queues: set[str] = set()
    ((word, job_id),) = session.store.drive(send(session.producer, [call], queues))
    _warn(session, queues)
    found: dict[str, Any] = {"id": job_id, "duplicate": word is Word.KEY}
    if options["wait"]:
        click.echo(f"waiting for {job_id}", err=True)  # known even if the wait is cut off
        timeout_ms = options["timeout"]
        found["result"] = session.scheduler.result(job_id, None if timeout_ms is None else timeout_ms / 1000)
    if options["as_json"]:
        print_json(found)
    else:
        click.echo(as_text(found["result"]) if options["wait"] else job_id)


def _warn(session: Session, queues: set[str]) -> None:
    """Say which of these queues no live worker takes: a job there waits, and that may be what is wanted."""
    from scheduler.inspector import read_workers

    workers = session.store.drive(read_workers(session.store.keys))
    taken = {queue for one in workers if not one.is_silent(session.now_ms) for queue in one.queues}
    for queue in sorted(queues - taken):
        _say(f"warning: no live worker takes queue {queue}; the job waits until one does")


def _load_json(text: str) -> object:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidOption(f"--args: not JSON: {error}") from None
    if not isinstance(found, dict | list):
        raise InvalidOption(f"--args: expected an object or an array, got {found!r:.60}")
    return found


def _enqueue_many(session: Session, source: IO[bytes], chosen: Defaults, *, as_json: bool) -> None:
    from scheduler.cli.feed import Feed

    with _progress(source) as (say, advance):
        feed = Feed(session, chosen, lambda number, reason: say(f"line {number}: {reason}"))
        failure: DuestreamError | KeyboardInterrupt | None = None
        try:
            feed.run(source, advance)
        except (DuestreamError, KeyboardInterrupt) as error:  # what was done is said all the same
            failure = error
    if failure is None:
        _warn(session, feed.queues)
    counts = {"scheduled": feed.scheduled, "duplicates": feed.duplicates, "refused": feed.refused}
    if as_json:
        print_json(counts)
    else:
        click.echo(", ".join(f"{word} {count:,}" for word, count in counts.items()))
    if failure is not None:
        raise failure
    if feed.refused:
        click.get_current_context().exit(1)


@contextlib.contextmanager
def _progress(source: IO[bytes]) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """How to say something and how to advance; a bar where stderr is a terminal and the input is long or unknown."""
    size = _size(source)
    if not sys.stderr.isatty() or (size is not None and size < LONG):
        yield _say, _advance_nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task("", total=size)

        def say(text: str) -> None:
            progress.console.print(text, markup=False, soft_wrap=True)

        def advance(count: int) -> None:
            progress.advance(task, count)

        yield say, advance


def _say(text: str) -> None:
    click.echo(text, err=True)


def _advance_nothing(count: int) -> None:
    """No bar is shown."""


def _size(source: IO[bytes]) -> int | None:
    """Bytes of a file; None for a pipe."""
    try:
        found = os.fstat(source.fileno())
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
