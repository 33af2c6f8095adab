"""Sabotaged scripts: each one textual change of one file, and the tests that must notice it.

A text must occur exactly once in its file. A change of a script that moves it breaks the test, so that no mutant rots.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`file` is below `scheduler/lua`, `tests` are stems of `tests/transitions/test_*.py`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _of(file: str, *tests: str) -> _Maker:
    return _Maker(file, tests)


class _Maker(NamedTuple):
    file: str
    tests: tuple[str, ...]

    def __call__(self, name: str, old: str, new: str = "", *tests: str) -> Mutant:
        return Mutant(name, self.file, old, new, tests or self.tests)


base = _of("include/base", "schedule")
complete = _of("include/complete", "finish")
create = _of("include/create", "schedule")
deliver = _of("include/deliver", "schedule", "retry", "cancel")
due = _of("include/due", "promote")
spec = _of("include/spec", "schedule")
versions = _of("include/versions", "commit")
withdraw = _of("include/withdraw", "cancel")
begin = _of("begin", "begin")
cancel = _of("cancel", "cancel")
commit = _of("commit", "commit")
expire = _of("expire", "expire")
finish = _of("finish", "finish")
join = _of("join", "join")
leave = _of("leave", "leave")
promote = _of("promote", "promote")
prune = _of("prune", "prune")
read = _of("read", "read", "commit")
redeliver = _of("redeliver", "redeliver")
renew = _of("renew", "renew")
retry = _of("retry", "retry")
schedule = _of("schedule", "schedule")
sweep = _of("sweep", "sweep")
unwatch = _of("unwatch", "unwatch")
watch = _of("watch", "watch")

FULL = "scripts"

MUTANTS = [
    # What several scripts share
    base("the time is rounded down for delays", "math.ceil(micros / 1000)", "math.floor(micros / 1000)"),
    complete("no tombstone", "redis.call('PEXPIRE', status, TOMBSTONE_MS)", "redis.call('DEL', status)"),
    complete("tombstones stay", "redis.call('PEXPIRE', status, TOMBSTONE_MS)"),
    complete("a tombstone keeps the result", "redis.call('HDEL', status, 'result', 'error')"),
    complete("a tombstone keeps the spec", "redis.call('DEL', NS .. 'job:' .. id)"),
    complete("a tombstone keeps the idempotency key", "redis.call('DEL', NS .. 'key:' .. key)"),
    complete("waiters are not told", "redis.call('RPUSH', NS .. 'mail:' .. mailbox, id)"),
    complete("mail stays", "redis.call('PEXPIRE', NS .. 'mail:' .. mailbox, MAILBOX_MS)"),
    complete("no end is counted", "redis.call('HINCRBY', NS .. 'stats:' .. name, state, 1)"),
    complete("records stay for ever", "redis.call('ZADD', NS .. 'expiry', int(now + keep), id)"),
    complete("retention of the function is not asked", "tonumber(found[1] or '') or "),
    create("a past time jumps ahead", "due = math.max(scheduled, now)", "due = scheduled"),
    create("a delay counts from the time rounded down", "soon + job.ms or", "now + job.ms or"),
    create("the time asked for is lost", "make_spec(now, scheduled,", "make_spec(now, due,"),
    create("a pending job has a life of its own", "scheduled, job.tail))", "scheduled, job.tail), 'PX', 600000)"),
    create("the idempotency key is not kept", "redis.call('SET', NS .. 'key:' .. job.key, job.id)"),
    create(
        "a job born canceled waits", "if job.born == 'canceled' then\n    complete(", "if false then\n    complete("
    ),
    deliver("a counter for a token", "nonce .. ':' .. moment", "int(redis.call('INCR', NS .. 'counter'))", "schedule"),
    deliver("the nonce alone for a token", "nonce .. ':' .. moment", "nonce", "redeliver"),
    deliver("the status does not name the entry", "'token', token, 'entry', entry)", "'token', token)"),
    deliver("entries stay", "redis.call('XDEL', stream, entry)"),
    deliver("entries stay pending", "redis.call('XACK', stream, GROUP, entry)"),
    deliver("large specs are copied", "if #head <= INLINE_BYTES then", "if true then"),
    due("promoted before it is due", "due, '-inf', int(now), 'LIMIT'", "due, '-inf', '+inf', 'LIMIT'"),
    due("promoted though it has ended", "if heads[i] ~= '' and not status[i][1] then", "if heads[i] ~= '' then"),
    due("promoted twice", "redis.call('ZREM', due, unpack(ids))"),
    due("attempts start again", "tonumber(status[i][2] or 0) + 1", "1"),
    due("nobody is woken", "redis.call('RPUSH', NS .. 'wake', '1')", "", "schedule"),
    due("everybody is woken", "(not seen.head or seen.earliest < seen.head)", "true", "schedule"),
    due("a queue is not known", "redis.call('SADD', NS .. 'queues', queue)", "", "schedule", "promote"),
    spec(
        "another field is the key", "return fields[4], fields[5], fields[8]", "return fields[4], fields[5], fields[7]"
    ),
    versions("documents have no version", "redis.call('HGET', NS .. 'doc:' .. key, 'version') or ''", "''"),
    versions("a job's state has no version", "redis.call('HGET', NS .. 'status:' .. key, 'state')", "false", "read"),
    versions("keys have no version", "return redis.call('GET', NS .. 'key:' .. key) or ''", "return ''", "read"),
    withdraw("a running action is not canceled", "return 'RUNNING', job", "return 'FINISHED', job"),
    withdraw("the token stays", "redis.call('HDEL', NS .. 'status:' .. job.id, 'token', 'entry')"),
    withdraw("a canceled job stays due", "redis.call('ZREM', NS .. 'due:' .. job.queue, job.id)"),
    withdraw("a canceled job stays ready", "drop_entry(job.queue, job.entry)"),
    withdraw("a canceled action stays in running", "redis.call('ZREM', NS .. 'running', job.id)"),
    withdraw("what succeeded is canceled", "if status[1] == 'success' or ", "if "),
    # Actions
    begin("no fence", "if status[2] ~= ARGV[at + 3] then", "if false then"),
    begin("an action is not acked", "drop_entry(queue, entry)"),
    begin("another worker may start it too", " and status[3] == worker"),
    begin("started again", "replies[i] = 'ALREADY'", "replies[i] = 'OK'"),
    begin("no lease", "redis.call('ZADD', NS .. 'running', int(now + lease_ms), id)"),
    finish("no fence", "if status[2] ~= ARGV[at + 3] then", "if false then"),
    finish("ended again", "replies[i] = 'ALREADY'", "replies[i] = 'OK'"),
    finish("it stays in running", "redis.call('ZREM', NS .. 'running', id)"),
    expire(
        "an expired action runs again",
        "complete(one.id, 'failed',",
        "redis.call('ZADD', NS .. 'due:q', int(now), one.id)\n"
        "    redis.call('HDEL', NS .. 'status:' .. one.id, 'state')\n"
        "    local _ = (function() end)(one.id, 'failed',",
    ),
    expire("the token stays", "redis.call('HDEL', NS .. 'status:' .. one.id, 'token')"),
    expire("before the lease ends", "running, '-inf', int(now), 'LIMIT'", "running, '-inf', '+inf', 'LIMIT'"),
    expire("a final state is changed", "if one.state == 'inProgress' then", "if one.state then"),
    # Mutations
    commit("no fence", "if status[2] ~= job.token then", "if false then"),
    commit("no read check", "version_of(kind, key) ~= ARGV[at + 2]", "false"),
    commit("effects twice", "return status[1] and 'ALREADY' or 'OK'", "return 'OK'"),
    commit("effects of a nested one twice", "== 1 and 'ALREADY' or 'OK'", "== 1 and 'OK' or 'OK'"),
    commit("no ack", "drop_entry(job.queue, job.entry)"),
    commit(
        "acked first",
        "check_wake()\n",
        "check_wake()\nfor _, job in ipairs(jobs) do\n  drop_entry(job.queue, job.entry)\nend\n",
    ),
    commit("acked in another stream", "drop_entry(job.queue, job.entry)", "drop_entry('default', job.entry)"),
    commit("no children", "create(child, now, soon)"),
    commit(
        "children in spite of a conflict",
        "replies[i] = check_reads(job.reads)",
        "replies[i] = check_reads(job.reads)\n    for _, at in ipairs(replies[i] == 'OK' and {} or job.children) do\n"
        "      create(read_create(at), now, soon)\n    end",
    ),
    commit("nothing is canceled", "withdraw(cancel[1], cancel[2], now)"),
    commit("a canceled action's child runs", "child.born = 'canceled'"),
    commit("the sequence stays", "redis.call('INCR', NS .. 'sequence')", "redis.call('GET', NS .. 'sequence') or '1'"),
    commit("all versions are one", "'version', version, 'data'", "'version', '1', 'data'"),
    commit("a deleted document stays in its table", "redis.call('ZREM', documents, id)"),
    commit("a deleted document stays", "redis.call('DEL', NS .. 'doc:' .. id)"),
    commit("a full server takes half", "redis.call('SETRANGE', NS .. 'sequence', 0, '')", "", FULL),
    commit("allowed on a full server", "-- include: base\n", "-- flags: allow-oom\n-- include: base\n", FULL),
    retry("no fence", "status[2] == ARGV[at + 3] and not status[1]", "not status[1]"),
    retry("what began is given back", "(status[2] == ARGV[at + 3] and not status[1])", "(status[2] == ARGV[at + 3])"),
    retry("the old entry stays", "drop_entry(queue, entry)"),
    retry("the old token stays", "redis.call('HDEL', NS .. 'status:' .. id, 'token', 'entry')"),
    retry("giving back counts as a death", "redis.call('HDEL', NS .. 'status:' .. id, 'deaths')"),
    retry("no delay", "add_due(queue, id, soon + delay, now)", "add_due(queue, id, soon, now)"),
    redeliver("the old entry stays", "drop_entry(one.queue, one.entry)"),
    redeliver("deaths are not counted", "tonumber(status[3] or 0) + 1", "1"),
    redeliver("what was given back comes twice", " and status[2] == fields.token"),
    redeliver("what has ended comes back", "if status and not status[1] and", "if status and"),
    redeliver("the lease of its worker is not asked", "tonumber(entry[3]) >= idle_of(entry[2])", "true"),
    # Producers
    schedule("an id may come twice", "redis.call('EXISTS', NS .. 'job:' .. id, NS .. 'status:' .. id) > 0", "false"),
    schedule("an id may come twice in one call", "if fresh_ids[id] or", "if"),
    schedule(
        "a tombstone does not count",
        "redis.call('EXISTS', NS .. 'job:' .. id, NS .. 'status:' .. id) > 0",
        "redis.call('EXISTS', NS .. 'job:' .. id) > 0",
    ),
    schedule("the idempotency key is not asked", "elseif holder then", "elseif false then"),
    schedule("a key twice in one call", "(fresh_keys[job.key] or redis.call(", "(redis.call("),
    schedule("a canceled action's child runs", "job.born = 'canceled'"),
    schedule("allowed on a full server", "-- include: base\n", "-- flags: allow-oom\n-- include: base\n", FULL),
    cancel("canceled twice in one call", "if seen[ARGV[i]] and outcome ~= 'UNKNOWN' then", "if false then"),
    cancel("nothing happens", "withdraw(outcomes[i], job, now)"),
    watch("what has ended is watched", "status[1] == 'success' or ", ""),
    watch("a second waiter takes the first one's place", "or waiters .. ' ' .. mailbox", "or mailbox"),
    unwatch("nobody waits any more", "if found == 1 and #left > 0 then", "if false then"),
    # The promoter and the janitor
    promote("two lead", "if leader and leader ~= name then", "if false then"),
    promote("nobody leads for long", "redis.call('SET', NS .. 'promoter', name, 'PX', lease_ms)"),
    promote(
        "the first queue takes all",
        "promote_queue(queue, share, now, nonce)",
        "promote_queue(queue, limit, now, nonce)",
    ),
    prune("the idempotency key stays", "redis.call('DEL', NS .. 'key:' .. keys[i])"),
    prune("another's idempotency key goes", "redis.call('GET', NS .. 'key:' .. key) == id and key", "key"),
    prune(
        "the status stays",
        "NS .. 'job:' .. id, NS .. 'status:' .. id)\n  redis.call('ZREM', NS .. 'expiry'",
        "NS .. 'job:' .. id)\n  redis.call('ZREM', NS .. 'expiry'",
    ),
    prune("before its time", "'-inf', int(now), 'LIMIT'", "'-inf', '+inf', 'LIMIT'"),
    prune("too many are kept", "while kept > most and", "while false and"),
    sweep("a worker goes with what it holds", "holds = true", "holds = false"),
    # Workers
    renew("another's action", "status[1] == 'inProgress' and status[2] == token", "status[1] == 'inProgress'"),
    renew("a heartbeat without an end", "redis.call('PEXPIRE', NS .. 'worker:' .. worker, beat_ms)"),
    renew("a renewal counts as a delivery", "claim[#claim + 1] = 'JUSTID'"),
    renew("a canceled action is not told", "canceled[#canceled + 1] = id"),
    leave(
        "deliveries go with the worker", "deliver(queue, fields.job,", "local _ = (function() end)(queue, fields.job,"
    ),
    leave("the old entry stays", "drop_entry(queue, entry[1])"),
    leave("what was given back comes twice", " and status[2] == fields.token"),
    leave("another's lease to promote ends", "if redis.call('GET', NS .. 'promoter') == promoter then", "if true then"),
    join("what was ready before is missed", "GROUP, '0', 'MKSTREAM'", "GROUP, '$', 'MKSTREAM'"),
    read("the sequence is not told", "redis.call('GET', NS .. 'sequence') or '0'", "'0'"),
]
