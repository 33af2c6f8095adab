"""The group that holds all commands: every error is one line, whoever wrote the command."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any

import click

from scheduler.cli.misuse import MISUSE, command_of, failure, in_words_of
from scheduler.cli.output import PRINTED, one_line, print_json
from scheduler.errors import DuestreamError

_WORDS = "duestream.words"


class Refused(click.ClickException):
    """Printed as one line on stderr; exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        with contextlib.suppress(BrokenPipeError):
            click.echo(f"error: {one_line(self.message)}", err=True, file=file)


class Misused(Refused):
    """The same for wrong usage; exit code 2."""

    exit_code = 2


class Cli(click.Group):
    """Turns what a command raises into one line: `Refused` for what is expected, a traceback only for our own bugs.

    With `--json` the error is a JSON object on stdout too, unless the command has printed its own already.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self._invoke(ctx)
        except click.ClickException as error:
            if "--json" in ctx.meta[_WORDS] and not ctx.meta.get(PRINTED):
                with contextlib.suppress(BrokenPipeError):
                    print_json(failure(error))
            raise

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except MISUSE as error:
            command = command_of(self, ctx.meta[_WORDS])
            raise Misused(in_words_of(command, str(error))) from error
        except DuestreamError as error:
            raise Refused(str(error)) from error
        except BrokenPipeError as error:
            _drop_stdout()
            raise Refused("nobody reads the output any more") from error
        except (KeyboardInterrupt, click.Abort) as error:
            raise Refused("interrupted") from error
        except Exception as error:
            if not _is_redis_error(error):
                raise
            raise Refused(f"Redis: {error}") from error
        return result

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command; one that has the name of a noun becomes what this noun does by itself."""
        known = self.commands.get(name or cmd.name or "")
        if isinstance(known, Noun) and not isinstance(cmd, click.Group):
            known.run_by_default(cmd)
        else:
            super().add_command(cmd, name)


class Noun(click.Group):
    """A noun and its verbs. `duestream worker` may hold a command too: `worker shop:app` is short for `worker run`."""

    _default: click.Command | None = None

    def run_by_default(self, command: click.Command) -> None:
        """Make a command the verb `run`, meant where no other verb is given."""
        self._default, self.help = command, command.help
        self.add_command(command, "run")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self._default is not None and (not args or args[0] not in {*self.commands, *ctx.help_option_names}):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self._default is None:
            super().format_help(ctx, formatter)
            return
        with click.Context(self._default, parent=ctx.parent, info_name=ctx.info_name) as default:
            self._default.format_help(default, formatter)
        self.format_commands(ctx, formatter)


def _is_redis_error(error: Exception) -> bool:
    from redis.exceptions import RedisError

    return isinstance(error, RedisError)


def _drop_stdout() -> None:
    """Let the interpreter flush into nothing at its end, instead of complaining once more."""
    with contextlib.suppress(OSError, ValueError):  # a stdout without a file: nothing to flush
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, sys.stdout.fileno())
        finally:
            os.close(nothing)
