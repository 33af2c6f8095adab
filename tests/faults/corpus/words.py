"""Command lines (C2.12): wrong usage is exit code 2 with the flag's own name, all else that is refused 1."""

from __future__ import annotations

from tests.faults.corpus.case import Words

_TAKE = ("enqueue", "corpus:take")
_HUGE = "9" * 5_000


def usage(culprit: str, *words: str, stdin: str | bytes = "") -> Words:
    return Words(" ".join(words)[:70] or "nothing", words, 2, culprit, stdin)


def refused(culprit: str, *words: str, stdin: str | bytes = "") -> Words:
    return Words(" ".join(words)[:70], words, 1, culprit, stdin)


OPTIONS = (
    usage("--queue: expected", *_TAKE, "--queue", ""),
    usage("--queue: expected", *_TAKE, "--queue", "a b"),
    usage("--queue: expected", *_TAKE, "--queue", "q" * 65),
    usage("--key: expected", *_TAKE, "--key", ""),
    usage("--key: expected", *_TAKE, "--key", "k" * 201),
    usage("--key: expected", *_TAKE, "--key", "a\nb"),
    usage("NAME: expected", "enqueue", ""),
    usage("NAME: expected", "enqueue", "{x}"),
    usage("NAME: expected", "enqueue", "a\r\nb"),
    usage("NAME: expected", "enqueue", "x" * 10_000),
    usage("--after", *_TAKE, "--after", "5"),
    usage("--after", *_TAKE, "--after", "-5s"),
    usage("--after: more than five years", *_TAKE, "--after", "1831d"),
    usage("--at", *_TAKE, "--at", "2030-01-01"),
    usage("--at: more than five years", *_TAKE, "--at", "9999-12-31T23:59:59Z"),
    usage("--timeout", *_TAKE, "--wait", "--timeout", "soon"),
    usage("--timeout", *_TAKE, "--wait", "--timeout", "-1s"),
    usage("--timeout goes with --wait", *_TAKE, "--timeout", "1s"),
    usage("--after or --at", *_TAKE, "--after", "1s", "--at", "2030-01-01T00:00Z"),
    usage("--args", *_TAKE, "--args", "{"),
    usage("--args", *_TAKE, "--args", "5"),
    usage("--args", *_TAKE, "--args", ""),
    usage("--args", *_TAKE, "--args", "[" * 100_000),
    usage("--args", *_TAKE, "--args", f'{{"value": {_HUGE}}}'),
    usage("--from", "enqueue", "--from", "/nowhere/calls.ndjson"),
    usage("KEY=VALUE", *_TAKE, "value"),
    usage("KEY=VALUE", *_TAKE, "=5"),
    usage("--namespace: expected", "info", "--namespace", ""),
    usage("--namespace: expected", "info", "--namespace", "a}{b"),
    usage("--namespace: expected", "info", "--namespace", "n" * 65),
    usage("--url", "info", "--url", "127.0.0.1:6379"),
    usage("--url", "info", "--url", "redis://127.0.0.1:port"),
    usage("--url", "info", "--url", "redis://127.0.0.1:99999999"),
    usage("--url", "info", "--url", "redis://[::1"),
    usage("--url", "info", "--url", "redis://127.0.0.1?frob=1"),
    usage("expected MODULE:APP", "info", "--app", "shop"),
    usage("expected MODULE:APP", "info", "--app", "../shop:app"),
    usage("not the name of a module", "info", "--app", "os.system('x'):app"),
    usage("ID: not a job id", "job", "show", "x"),
    usage("ID: not a job id", "job", "show", ""),
    usage("ID: not a job id", "job", "show", "../" + "0" * 23),
    usage("ID: not a job id", "cancel", "{x}"),
    usage("ID: not a job id", "cancel", "01JD6Q2M8XK0T9V4W5Y7Z3ABCD\n"),
    usage("--state", "job", "list", "--state", "done"),
    usage("--limit", "job", "list", "--limit", "0"),
    usage("--limit", "job", "list", "--limit", "1001"),
    usage("--limit", "job", "list", "--limit", "many"),
    usage("--limit", "job", "list", "--limit", "9" * 400),
    usage("--cursor: not one", "job", "list", "--cursor", "x"),
    usage("--cursor: not one", "job", "list", "--cursor", "due:default/nan~1~A"),
    usage("--queue: expected", "job", "list", "--queue", "a:b"),
    usage("--function: expected", "job", "list", "--function", "a b"),
    usage("--before", "job", "list", "--before", "yesterday"),
    usage("--after", "job", "count", "--after", "nan"),
    usage("--before", "job", "count", "--before", "2030-01-01T00:00"),
    usage("--queue: expected", "cancel", "--all", "--yes", "--queue", "*"),
    usage("--function: expected", "cancel", "--all", "--yes", "--function", ""),
    usage("or --all", "cancel", "--queue", "default"),
    usage("--where: expected", "db", "list", "t", "--index", "a", "--where", "a"),
    usage("--where", "db", "list", "t", "--index", "a", "--where", "a:set=1"),
    usage("--where goes with --index", "db", "list", "t", "--where", "a=1"),
    usage("--after: not one", "db", "list", "t", "--after", "x"),
    usage("--frob", "job", "list", "--frob"),
    usage("No such command", "frob"),
)

REFUSALS = (
    refused("has registered 'no:such'", "enqueue", "no:such"),
    refused("has registered '__import__'", "enqueue", "__import__", "name=os"),
    refused("value: given twice", *_TAKE, "value=1", "value=2"),
    refused("other: unexpected argument", *_TAKE, "other=1"),
    refused("number: missing argument", "enqueue", "corpus:typed"),
    refused("number", "enqueue", "corpus:typed", "number=many"),
    refused("number", "enqueue", "corpus:typed", f"number={_HUGE}.5"),
    refused("tags", "enqueue", "corpus:typed", "number=1", "tags=5"),
    refused("positional arguments", *_TAKE, "--args", "[1, 2, 3]"),
    refused("unexpected argument", *_TAKE, "--args", '{"\\ud800": 1}'),
    refused("no record of it", "job", "show", "01JD6Q2M8XK0T9V4W5Y7Z3ABCD"),
    refused("did not answer", "info", "--url", "redis://127.0.0.1:1/0", "--redis-timeout", "1s"),
    refused("there is no module", "info", "--app", "nowhere_at_all:app"),
    refused("expected an App", "info", "--app", "json:dumps"),
    refused("expected '<table>:<key>'", "db", "get", "x"),
    refused("table: expected", "db", "list", "*"),
    refused("has no index", "db", "list", "t", "--index", "a"),
    refused("has no index", "db", "drop-index", "t:a", "--yes"),
)

LINES = (
    "[]",
    "5",
    "null",
    '"x"',
    "{",
    "}",
    "{}{}",
    "nonsense",
    "\0",
    '{"function": 5}',
    '{"function": null}',
    '{"args": {}}',
    '{"function": "no:such"}',
    '{"function": "__import__", "args": ["os"]}',
    '{"function": "corpus:take", "frob": 1}',
    '{"function": "corpus:take", "args": 5}',
    '{"function": "corpus:take", "args": "value"}',
    '{"function": "corpus:take", "args": [1, 2]}',
    '{"function": "corpus:take", "args": {"other": 1}}',
    '{"function": "corpus:take", "after": "1s", "at": 5}',
    '{"function": "corpus:take", "queue": 5}',
    '{"function": "corpus:take", "queue": ""}',
    '{"function": "corpus:take", "key": ["a"]}',
    '{"function": "corpus:take", "key": "a\\u0000b"}',
    '{"function": "corpus:typed", "args": {"number": "many"}}',
    '{"function": "corpus:typed", "args": {"number": 1, "when": 5}}',
    f'{{"function": "corpus:take", "args": [{_HUGE}]}}',
    '{"function": "corpus:take", "args": ' + "[" * 5_000 + "]" * 5_000 + "}",
    '{"function": "\\ud800"}',
)
"""Lines of NDJSON that are no call, one each."""

RAW_LINES = (b"\xff\xfe", b'{"function": "\xc3("}', b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\x1f\x8b\x08\x00", b"\x80" * 1_000)
"""The same as bytes that are no UTF-8, or no JSON."""

WORKER_OPTIONS = (
    usage("--concurrency: expected", "worker", "{module}:app", "-c", "0"),
    usage("--concurrency", "worker", "{module}:app", "-c", "many"),
    usage("--concurrency: expected", "worker", "{module}:app", "-c", "10001"),
    usage("--queues: expected", "worker", "{module}:app", "-Q", "a:b"),
    usage("--queues: expected", "worker", "{module}:app", "-Q", "a,a"),
    usage("--lease: expected", "worker", "{module}:app", "--lease", "1ms"),
    usage("--lease: expected", "worker", "{module}:app", "--lease", "2h"),
    usage("--lease", "worker", "{module}:app", "--lease", "10"),
    usage("--max-deliveries: expected", "worker", "{module}:app", "--max-deliveries", "0"),
    usage("--max-deliveries", "worker", "{module}:app", "--max-deliveries", "5.5"),
    usage("--grace: expected", "worker", "{module}:app", "--grace", "2d"),
    usage("--grace", "worker", "{module}:app", "--grace", "-1s"),
    usage("--processes", "worker", "{module}:app", "-w", "0"),
    usage("--processes", "worker", "{module}:app", "-w", "513"),
    usage("--url", "worker", "{module}:app", "--url", "nonsense"),
    usage("expected MODULE:APP", "worker", "shop"),
    usage("--namespace: expected", "promoter", "-n", "a b"),
    usage("--lease: expected", "promoter", "-n", "a", "--lease", "1ms"),
    usage("--namespace or --app", "promoter"),
)
"""Commands of worker processes: they end before they begin."""
