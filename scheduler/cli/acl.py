"""`duestream acl`: the rules of the server's users."""

from __future__ import annotations

import click

from scheduler.cli.output import json_option, print_json
from scheduler.cli.session import Target, target_options
from scheduler.role import Role


@click.command()
@click.argument("role", type=click.Choice([role.value for role in Role]))
@click.option("--user", metavar="NAME", help="The user's name. [default: NAMESPACE-ROLE]")
@click.option("--file", "as_file", is_flag=True, help="Print a line of the server's ACL file instead of a command.")
@click.option("--fsync", is_flag=True, help="For a worker with --durability fsync: it may see the server's settings.")
@json_option
@target_options
def acl(target: Target, role: str, user: str | None, as_file: bool, fsync: bool, as_json: bool) -> None:
    """Print the rights of a ROLE as the server's rules.

    They are the keys of one app, and the commands that the role sends.

    \b
    duestream acl worker --namespace shop | redis-cli
    redis-cli ACL SETUSER shop-worker '>a long password'

    producer schedules, cancels and reads; worker runs jobs, promotes and cleans; operator is this command line. The
    user is on, and has no password yet. Print the rules anew with each version of duestream.
    """
    from scheduler.rights import rules
    from scheduler.settings import check_namespace

    namespace = _namespace(target)
    found = rules(Role(role), check_namespace(namespace), fsync=fsync)
    name = _check_user(user or f"{namespace}-{role}")
    if as_json:
        print_json({"user": name, "role": role, "rules": found})
    else:
        click.echo(" ".join(("user" if as_file else "ACL SETUSER", name, "on", *found)))


def _namespace(target: Target) -> str:
    """Named, or the only one on the server."""
    app = target.load()
    if app is not None:
        return app.namespace
    if target.namespace is not None:
        return target.namespace
    with target.open() as session:
        return session.app.namespace


def _check_user(name: str) -> str:
    if not name.isprintable() or any(one.isspace() for one in name):
        raise click.UsageError("--user: expected a name without spaces.")
    return name
