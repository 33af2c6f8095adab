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


arguments = _of("include/arguments", "check", "commit_documents")
base = _of("include/base", "schedule")
complete = _of("include/complete", "finish")
create = _of("include/create", "schedule")
deliver = _of("include/deliver", "schedule", "retry", "cancel")
due = _of("include/due", "promote")
gathered = _of("include/gathered", "finish")
entry = _of("include/entry", "commit_documents", "read")
fields = _of("include/fields", "redeliver", "leave")
group = _of("include/group", "mend")
judge = _of("include/judge", "mend", "examine")
job = _of("include/job", "begin")
spec = _of("include/spec", "schedule")
stranded = _of("include/stranded", "redeliver")
stats = _of("include/stats", "finish")
versions = _of("include/versions", "commit")
scans = _of("include/versions", "commit_scans")
withdraw = _of("include/withdraw", "cancel")
begin = _of("begin", "begin")
cancel = _of("cancel", "cancel")
check = _of("check", "check")
commit = _of("commit", "commit")
documents = _of("commit", "commit_documents")
count = _of("count", "count")
declare = _of("declare", "declare")
describe = _of("describe", "describe")
expire = _of("expire", "expire")
finish = _of("finish", "finish")
forget = _of("forget", "forget")
death = _of("include/death", "redeliver", "expire")
join = _of("join", "join")
leave = _of("leave", "leave")
mend = _of("mend", "mend")
promote = _of("promote", "promote")
prune = _of("prune", "prune")
read = _of("read", "read", "commit")
redeliver = _of("redeliver", "redeliver")
reindex = _of("reindex", "reindex")
renew = _of("renew", "renew")
sustain = _of("sustain", "sustain")
retry = _of("retry", "retry")
revert = _of("revert", "revert")
schedule = _of("schedule", "schedule")
seal = _of("seal", "seal")
show = _of("show", "show")
sweep = _of("sweep", "sweep")
tally = _of("tally", "tally")
unwatch = _of("unwatch", "unwatch")
watch = _of("watch", "watch")

FULL = "scripts"

WRITTEN_LAST = (
    "if replies[i] == 'OK' then\n    job.last = settle_queues\n"
    "    settle_queues = function(...)\n      write(job)\n      job.last(...)\n    end"
)
STALE_FIRST = (
    "  if #job.writes > 0 and job.catalog ~= catalog then\n    return 'STALE'\n  end\n"
    "  if not still_holds(job.reads, job.scans) then"
)

MUTANTS = [
    # What several scripts share
    base("the time is rounded down for delays", "math.ceil(micros / 1000)", "math.floor(micros / 1000)"),
    complete("no tombstone", "redis.call('PEXPIRE', status, TOMBSTONE_MS)", "redis.call('DEL', status)"),
    complete("tombstones stay", "redis.call('PEXPIRE', status, TOMBSTONE_MS)"),
    complete("a tombstone keeps the spec", "delete_key('job:' .. id)"),
    complete("a tombstone keeps the idempotency key", "delete_key('key:' .. key)"),
    complete("no end is counted", "count(name, state, 1)"),
    stats("nothing is counted", "add_count('stats:' .. name, field, by)"),
    stats("damaged counters are counted", "if counts[name] then", "if true then"),
    stats("counters that are no numbers", "(#value < 16 and value:match('^%d+$') ~= nil)", "true"),
    stats("a counter at its end", "#value < 16 and ", ""),
    job("a damaged status stops all", "redis.pcall('HMGET'", "redis.call('HMGET'", "begin"),
    job("a damaged spec stops all", "redis.pcall('GETRANGE'", "redis.call('GETRANGE'", "promote"),
    job("a damaged idempotency key stops all", "redis.pcall('GET'", "redis.call('GET'", "schedule"),
    complete("records stay for ever", "add_score('done:' .. state, int(completed), id)"),
    complete("a retention of its own is forgotten", "add_score('expiry', int(completed + keep), id)"),
    complete("each record is listed twice", "kept_apart[name] then", "true then"),
    complete("retention of the function is not asked", "whole(found[1]) or "),
    create("a past time jumps ahead", "due = math.max(scheduled, now)", "due = scheduled"),
    create("a delay counts from the time rounded down", "soon + job.ms or", "now + job.ms or"),
    create("the time asked for is lost", "make_spec(now, scheduled,", "make_spec(now, due,"),
    create("the idempotency key is not kept", "set_string('key:' .. job.key, job.id)"),
    create(
        "a job born canceled waits", "if job.born == 'canceled' then\n    complete(", "if false then\n    complete("
    ),
    deliver("a counter for a token", "nonce .. ':' .. moment", "int(redis.call('INCR', NS .. 'counter'))", "schedule"),
    deliver("the nonce alone for a token", "nonce .. ':' .. moment", "nonce", "promote"),
    deliver("the status does not name the entry", "'token', token, 'entry', entry)", "'token', token)"),
    gathered("entries stay", "redis.call('XDEL', NS .. 'ready:' .. queue, ...)"),
    gathered("entries stay pending", "redis.call('XACK', NS .. 'ready:' .. queue, GROUP, ...)"),
    gathered("the first thousand", "for first = 1, #list, CHUNK do", "for first = 1, 1 do"),
    gathered("waiters are not told", "redis.call('RPUSH', NS .. 'mail:' .. mailbox, ...)"),
    gathered("mail stays", "redis.call('PEXPIRE', NS .. 'mail:' .. mailbox, MAILBOX_MS)"),
    gathered("a damaged mailbox stops the end", "if is_of('mail:' .. mailbox, 'list') then", "if true then"),
    gathered(
        "what is set and deleted stays", "in_chunks(deleted, function(...) redis.call('DEL', ...) end)", "", "schedule"
    ),
    complete("a tombstone keeps the result", "if keep and value then", "if value then"),
    gathered("one count a call", "(fields[field] or 0) + by", "by"),
    deliver("large specs are copied", "if head and #head <= INLINE_BYTES then", "if head then"),
    deliver("a damaged status stays", "redis.call('DEL', NS .. 'status:' .. id)", "", "redeliver"),
    due("promoted before it is due", "due, '-inf', int(now), 'LIMIT'", "due, '-inf', '+inf', 'LIMIT'"),
    due("promoted though it has ended", "if heads[i] ~= '' and not found[1] then", "if heads[i] ~= '' then"),
    due("promoted twice", "redis.call('ZREM', due, unpack(ids))"),
    due("attempts start again", "(tonumber(found[2] or '') or 0) + 1", "1"),
    due("nobody is woken", "redis.call('RPUSH', NS .. 'wake', '1')", "", "schedule"),
    due("everybody is woken", "(not seen.head or seen.earliest < seen.head)", "true", "schedule"),
    due("a queue is not known", "redis.call('SADD', NS .. 'queues', queue)", "", "schedule", "promote"),
    spec("another field is the key", "fields[5], fields[8]", "fields[5], fields[7]"),
    spec("the default queue has no name", "fields[4] == '' and DEFAULT_QUEUE or fields[4]", "fields[4]"),
    spec("the time asked for is no delay", "scheduled - created", "scheduled"),
    versions("documents have no version", "redis.call('HGET', NS .. 'doc:' .. key, 'version') or ''", "''"),
    versions("a job's state has no version", "return status[1] or (status[2]", "return (status[2]", "read"),
    versions("a seal has no version", "(status[2] and 'sealed') or ", "", "seal"),
    versions("keys have no version", "return read_key(key) or ''", "return ''", "read"),
    withdraw("a running action is not canceled", "return 'RUNNING', job", "return 'FINISHED', job"),
    withdraw("the token stays", "redis.call('HDEL', NS .. 'status:' .. job.id, 'token', 'entry')"),
    withdraw("a canceled job stays due", "redis.call('ZREM', NS .. 'due:' .. job.queue, job.id)"),
    withdraw("a canceled job stays ready", "drop_entry(job.queue, job.entry)"),
    withdraw("a canceled action stays in running", "redis.call('ZREM', NS .. 'running', job.id)"),
    withdraw("a damaged entry is acked", "ms and #ms < 20 and #number < 20 and text", "text"),
    withdraw("what succeeded is canceled", "if status[1] == 'success' or ", "if "),
    # Actions
    begin("no fence", " or status[2] ~= ARGV[at + 3] then", " then"),
    begin("begun with a stream that is none", " or not has_stream(ARGV[at + 1])"),
    begin("an action is not acked", "drop_entry(queue, entry)"),
    begin("another worker may start it too", " and status[3] == worker"),
    begin("started again", "replies[i] = 'ALREADY'", "replies[i] = 'OK'"),
    begin("a repeated begin is not written", "elseif replies[i] == 'ALREADY' then", "elseif false then"),
    begin("no lease", "add_score('running', lease_end, id)"),
    finish("no fence", "if status[2] ~= ARGV[at + 3] then", "if false then"),
    finish("ended again", "replies[i] = 'ALREADY'", "replies[i] = 'OK'"),
    finish("it stays in running", "remove_member('running', id)"),
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
    versions("no read check", "version_of(ARGV[at], ARGV[at + 1]) ~= ARGV[at + 2]", "false"),
    commit("effects twice", "return status[1] and 'ALREADY' or 'OK'", "return 'OK'"),
    commit("effects of a nested one twice", "== 1 and 'ALREADY' or 'OK'", "== 1 and 'OK' or 'OK'"),
    commit("no ack", "drop_entry(job.queue, job.entry)"),
    commit(
        "acked first",
        "local job = take_job()\n",
        "local job = take_job()\n  drop_entry(job.queue, job.entry)\n",
    ),
    commit("acked in another stream", "drop_entry(job.queue, job.entry)", "drop_entry('default', job.entry)"),
    commit("no children", "create(child, now, soon, nonce)"),
    commit(
        "children in spite of a conflict",
        "word = check_reads(job)\n",
        "word = check_reads(job)\n  for _, at in ipairs(word == 'OK' and {} or job.children) do\n"
        "    create(read_create(at), now, soon, nonce)\n  end\n",
    ),
    commit("nothing is canceled", "withdraw(cancel[1], cancel[2], now, {})"),
    commit("a canceled action's child runs", "job.id == '' and child.parent or ''", "''"),
    commit("a later one does not see an earlier one", "if replies[i] == 'OK' then\n    write(job)", WRITTEN_LAST),
    commit("who has not sealed it ends it", "and status[4] and status[4] ~= job.token then", "and false then", "seal"),
    commit("a seal stays", "'entry', 'sealed')", "'entry')", "seal"),
    commit("conflicts are not counted", "if job.conflicts > 0 then", "if false then"),
    # Documents and indexes
    documents("the sequence stays", "redis.call('INCRBY', NS .. 'sequence', math.max(1, added))", "'1'"),
    documents("the sequence goes up by one", "'sequence', math.max(1, added)))", "'sequence', 1))"),
    documents("the sequence stays where nothing is added", "'sequence', math.max(1, added)))", "'sequence', added))"),
    documents("numbers come twice", "number = number + 1", "number = number"),
    documents("all versions are one", "'version', version, 'data'", "'version', '1', 'data'"),
    documents("a version without the attempt", "= job.attempt .. '-' .. job.token, reserve", "= job.token, reserve"),
    documents("a version of the attempt alone", "job.attempt .. '-' .. job.token, reserve", "job.attempt, reserve"),
    documents(
        "a rewritten document loses its number",
        "redis.call('HSET', key, 'version', version, 'data', data)",
        "redis.call('DEL', key)\n      redis.call('HSET', key, 'version', version, 'data', data)",
    ),
    documents(
        "a new document has no number",
        "'version', version, 'created', int(number), 'data'",
        "'version', version, 'data'",
    ),
    documents("entries are not removed", "redis.call('ZREM', NS .. 'index:' .. ARGV[at + 1], entry)"),
    documents("entries are not added", "redis.call('ZADD', NS .. 'index:' .. ARGV[at + 1], 0, entry)"),
    documents("entries with a score", "ARGV[at + 1], 0, entry)", "ARGV[at + 1], 1, entry)"),
    documents("a new entry has no number of its document", "job.created[id] = number", "job.created[id] = 0"),
    documents(
        "entries are added before they are removed", "\n  write_entries(job, 'del')", "\n  write_entries(job, 'add')"
    ),
    documents("an older catalog will do", "(#job.writes > 0 and job.catalog ~= catalog)", "false"),
    documents("an older catalog is told first", "  if not still_holds(job.reads, job.scans) then", STALE_FIRST),
    documents(
        "a failure is refused for its catalog", "(#job.writes > 0 and job.catalog ~= catalog)", "job.catalog ~= catalog"
    ),
    documents(
        "a damaged document is written",
        "assert(known == true and ARGV[at] == 'add' or tonumber(known), ",
        "local _ = (function() end)(",
    ),
    entry("the length of the id is left out", ".. id .. string.format('%03d', #id)", ".. id", "commit_documents"),
    entry("numbers of one digit", "'%016.0f'", "'%.0f'"),
    arguments("a list takes the next one's rows", "places[i] = skip(width)", "places[i] = skip(1)"),
    scans("no scan check", "if not ids or table.concat(ids, ' ') ~= ARGV[at + SCAN_ARGS] then", "if not ids then"),
    scans(
        "an index that is not ready holds",
        "if not ids or table.concat(",
        "if ids and table.concat(",
        "commit_scans",
        "check",
    ),
    scans("scans have no order", "if ARGV[at + 4] == 'desc' then", "if false then"),
    scans("scans have no end", "upper, by, 'LIMIT', 0, most)", "upper, by)"),
    scans("scans backwards have no end", "by, 'REV', 'LIMIT', 0, most)", "by, 'REV')"),
    scans(
        "the number found is what counts",
        "table.concat(ids, ' ') ~= ARGV[at + SCAN_ARGS]",
        "#ids ~= #ARGV[at + SCAN_ARGS]:gsub('[^ ]+ ?', '.')",
    ),
    scans("an index that is not ready is read", "~= 'ready' then", "== 'no' then", "read"),
    check("scans do not count", "still_holds(reads, scans)", "still_holds(reads, {})"),
    check("reads do not count", "still_holds(reads, scans)", "still_holds({}, scans)"),
    check("the sequence is not told", "redis.call('GET', NS .. 'sequence') or '0'", "'0'"),
    declare("the version stays", "if #fresh > 0 then", "if false then"),
    declare("the version is another each time", "if #fresh > 0 then", "if true then"),
    declare("the version is a counter", "nonce .. ':' .. read_moment()", "int(redis.call('HLEN', NS .. 'indexes'))"),
    declare("the nonce alone for a version", "nonce .. ':' .. read_moment()", "nonce"),
    declare("an index of a full table is ready", "documents == 0 and 'ready' or '0'", "'ready'"),
    declare("an index of an empty table is built", "documents == 0 and 'ready' or '0'", "'0'"),
    declare(
        "an index is begun anew",
        "redis.call('HEXISTS', NS .. 'indexes', ARGV[i]) == 0",
        "redis.call('HDEL', NS .. 'indexes', ARGV[i]) >= 0",
    ),
    declare("the version is an index", "if known[i] ~= 'version' then", "if true then"),
    forget("entries stay", "redis.call('UNLINK', NS .. 'index:' .. index)"),
    forget("the index stays", "redis.call('HDEL', NS .. 'indexes', index)"),
    forget("the version stays", "redis.call('HSET', NS .. 'indexes', 'version', version)"),
    forget("the version is an index", " or index == 'version' then", " then"),
    reindex("the version of a document does not count", "if found[1] == ARGV[at + 1] then", "if found[1] then"),
    reindex("the progress is not checked", "if known[1] ~= before or known[2] ~= catalog then", "if false then"),
    reindex("the catalog is not checked", " or known[2] ~= catalog then", " then"),
    reindex("the number built is not checked", "known[1] ~= before or ", ""),
    reindex("the progress is not kept", "redis.call('HSET', NS .. 'indexes', index, after)"),
    reindex("nothing is built", "redis.call('ZADD', NS .. 'index:' .. index, 0, entry)"),
    # Seals
    seal("no fence", "if status[1] or status[2] ~= tokens[i] then", "if status[1] then"),
    seal("what has ended is sealed", "if status[1] or status[2] ~= tokens[i] then", "if status[2] ~= tokens[i] then"),
    seal("what was read does not count", "version_of(kind, key) ~= ARGV[at + 2] or", "false or"),
    seal("two that read each other", " or (kind == 'job' and sealing[key]) then", " then"),
    seal("nothing is sealed", "redis.call('HSET', NS .. 'status:' .. id, 'sealed', tokens[i])"),
    seal("sealed again", "elseif status[3] == tokens[i] then", "elseif false then"),
    withdraw("a sealed job is canceled", " or (not status[1] and status[4]) then", " then", "seal"),
    begin("a sealed job is begun", "status[4] and 'LOST' or 'OK'", "'OK'", "seal"),
    retry("a seal is never taken off", "if ARGV[at + 8] == '1' then", "if false then", "seal"),
    retry("a seal is always taken off", "if ARGV[at + 8] == '1' then", "if true then", "seal"),
    retry("conflicts are not counted", "if tonumber(ARGV[at + 7]) > 0 then", "if false then"),
    redeliver("a sealed job fails", "(one.deaths >= cap and not one.sealed)", "one.deaths >= cap", "seal"),
    redeliver("a sealed job never has its error", "one.deaths >= cap and failure or nil", "nil", "seal"),
    redeliver("an error before the cap", "one.deaths >= cap and failure or nil", "failure", "seal"),
    documents("a deleted document stays in its table", "redis.call('ZREM', documents, id)"),
    commit("a deleted document stays", "redis.call('DEL', key)"),
    commit("a full server takes half", "redis.call('SETRANGE', NS .. 'sequence', 0, '')", "", FULL),
    commit("a start before the delivery", "(tonumber(entry:match('^%d+')) or 0)", "0"),
    commit("allowed on a full server", "-- include: base\n", "-- flags: allow-oom\n-- include: base\n", FULL),
    revert("no fence", "status[2] == ARGV[at + 3] and mine", "mine"),
    revert("another worker's is taken back", " and status[3] == worker"),
    revert("what has ended comes back", "(status[1] == 'inProgress' and", "("),
    revert("what was lost with the server is not given back", "not status[1] or "),
    revert("the entry stays", "drop_entry(queue, entry)"),
    revert("it stays in running", "redis.call('ZREM', NS .. 'running', id)"),
    revert("it stays in progress", "id, 'state', 'token'", "id, 'token'"),
    revert("the old token stays", "'state', 'token', 'entry', 'started'", "'state', 'entry', 'started'"),
    revert("when it started stays", "'started', 'worker', 'deaths'", "'worker', 'deaths'"),
    revert("giving back counts as a death", ", 'deaths')", ")"),
    revert("it counts as a start", "int(attempt - 1)", "int(attempt)"),
    revert("no delay", "add_due(queue, id, soon + delay, now)", "add_due(queue, id, soon, now)"),
    revert("nobody is woken for it", "settle_queues(now, nonce)"),
    revert("given back twice in a call", " and not seen[ARGV[at]]"),
    retry("no fence", "status[2] == ARGV[at + 3] and not status[1]", "not status[1]"),
    retry("what began is given back", "(status[2] == ARGV[at + 3] and not status[1])", "(status[2] == ARGV[at + 3])"),
    retry("the old entry stays", "drop_entry(queue, entry)"),
    retry("the old token stays", "redis.call('HDEL', NS .. 'status:' .. id, 'token', 'entry')"),
    retry("giving back counts as a death", "redis.call('HDEL', NS .. 'status:' .. id, 'deaths')"),
    retry("a death is not counted", "(tonumber(status[3] or '') or 0) + 1", "(tonumber(status[3] or '') or 0)"),
    retry("a death does not add to others", "(tonumber(status[3] or '') or 0) + 1", "1"),
    retry("a death is counted and not kept", "'deaths', int(deaths[i].number), 'died'", "'died'"),
    retry("who died is not told", "'died', deaths[i].died", "'died', ''"),
    retry("no cap of deaths", "number >= cap and not status[5]", "false"),
    retry("a sealed job dies for good", "number >= cap and not status[5]", "number >= cap"),
    retry("one death too many", "number >= cap and", "number > cap and"),
    retry("nobody is told of the last death", "deaths[i].waiters, {}", "false, {}"),
    retry("the key of what died stays", "now, name, ARGV[at + 9],", "now, name, '',"),
    retry("what passes never waits longer", "FIRST_MS * 2 ^ (pass - 1)", "FIRST_MS"),
    retry(
        "what passes waits for ever longer", "math.min(FIRST_MS * 2 ^ (pass - 1), MOST_MS)", "FIRST_MS * 2 ^ (pass - 1)"
    ),
    retry("what passes comes back in step", "* millionths / 1000000"),
    retry("what passes may not wait at all", "math.max(1, math.floor(", "math.max(0, math.floor("),
    retry("passes are not kept", "'passes', int(passes[i])", "'passes', 1"),
    retry("damaged passes are counted on", "before > 0 and before < MOST_PASSES", "before > 0"),
    retry("no delay", "add_due(queue, id, soon + delay, now)", "add_due(queue, id, soon, now)"),
    redeliver("the old entry stays", "drop_entry(one.queue, one.entry)"),
    stranded("what is held is taken away", "entries[i][1], 1) > 0 then", "entries[i][1], 1) > 1 then"),
    stranded("what waits is taken for handed out", "stream, '-', last,", "stream, '-', '+',"),
    stranded("only the first", "count = limit", "return found"),
    stranded("more than it was asked for", "or count == limit", "or count == 1000"),
    redeliver("a deleted consumer's job waits for ever", "ipairs(stranded)", "ipairs({})"),
    redeliver("a deleted consumer counts as a death", "if not one.stranded then", "if true then"),
    redeliver("a deleted consumer's entries count as held", "held - (one.stranded and 0 or 1)", "held - 1"),
    redeliver("deaths are not counted", "(tonumber(status[3] or '') or 0) + 1", "1"),
    redeliver("a job with a damaged status is lost", "one.damaged, status = true, { false, fields.token }"),
    redeliver("poison comes back with its company", "one.deaths > 1 and one.deaths < cap", "false"),
    redeliver("no pause is longer than the first", "2 ^ (one.deaths - 2)", "1"),
    redeliver("pauses grow without end", ", MOST_AGAIN_MS)", ", 1e12)"),
    redeliver("all pause as long", "* (tonumber(one.id:sub(-4), 36) * 40503 % 65536 + 1) / 65536", ""),
    redeliver(
        "the old token stays with the pause",
        """'token', 'entry')
      redis.call('HSET', NS .. 'status:' .. one.id, 'retried'""",
        """'entry')
      redis.call('HSET', NS .. 'status:' .. one.id, 'retried'""",
    ),
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
    schedule("only the first are looked for", "if #keys == 2 * IDS_AT_ONCE or i == count then", "if i == 1 then"),
    due("what waits is overtaken", "(seen.head and seen.head <= now) or ", "", "schedule"),
    due("a call hands on all that is due", " or seen.straight == STRAIGHT_LIMIT", "", "schedule"),
    schedule("the idempotency key is not asked", "elseif holder then", "elseif false then"),
    schedule("a key twice in one call", "(fresh_keys[job.key] or read_key(job.key))", "read_key(job.key)"),
    create("a canceled action's child runs", "job.born = 'canceled'\n"),
    schedule("allowed on a full server", "-- include: base\n", "-- flags: allow-oom\n-- include: base\n", FULL),
    cancel("canceled twice in one call", "if seen[id] and outcome ~= 'UNKNOWN' then", "if false then"),
    cancel("nothing happens", "withdraw(outcomes[i], job, now, { 'withdrawn', nonce })"),
    cancel("a call that is sent again is told another's end", "job.withdrawn == nonce and", "false and"),
    cancel("another call is told that it was the one", "job.withdrawn == nonce", "job.withdrawn"),
    cancel("a running action is told as a pending job", "(job.started and 'RUNNING' or 'CANCELED')", "'CANCELED'"),
    cancel("nobody knows who canceled it", "{ 'withdrawn', nonce }", "{}"),
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
    prune("the idempotency key stays", "redis.call('DEL', NS .. 'key:' .. one.key)"),
    prune("another's idempotency key goes", "read_key(key) == id and key", "key"),
    prune(
        "the status stays",
        "redis.call('DEL', NS .. 'job:' .. id, NS .. 'status:' .. id)",
        "redis.call('DEL', NS .. 'job:' .. id)",
    ),
    prune("no tombstone", "if one.left > 0 then", "if false then"),
    prune("tombstones for ever", "redis.call('PEXPIRE', NS .. 'status:' .. id, int(one.left))"),
    prune("a tombstone after its time", "math.min(TOMBSTONE_MS, completed + TOMBSTONE_MS - now)", "TOMBSTONE_MS"),
    prune(
        "a tombstone outlives a jump",
        "math.min(TOMBSTONE_MS, completed + TOMBSTONE_MS - now)",
        "completed + TOMBSTONE_MS - now",
    ),
    expire("a damaged action stays in progress", "status or { 'inProgress', false, false, false }", "status or {}"),
    leave("a job with a damaged status is lost", "status = mend_status(fields.job, fields.token)", "status = {}"),
    base("a retention without end", " and text:match('^%d+$')", "", "prune"),
    prune("before its time", "'-inf', int(now), 'LIMIT'", "'-inf', '+inf', 'LIMIT'"),
    prune("before the app's time", "after, int(till), 'WITHSCORES'", "after, '+inf', 'WITHSCORES'"),
    prune("what is kept apart goes with the rest", " and not redis.call('ZSCORE', NS .. 'expiry', id)", ""),
    prune("what was passed is looked at again", "'(' .. ARGV[3]", "'-inf'"),
    prune("too many in one call", "#gone >= limit", "false"),
    prune("too many are kept", "while kept > most and", "while false and"),
    sweep("a worker goes with what it holds", "holds = true", "holds = false"),
    # Workers
    renew("another's action", "status[1] == 'inProgress' and status[2] == token", "status[1] == 'inProgress'"),
    renew("a heartbeat without an end", "redis.call('PEXPIRE', NS .. 'worker:' .. worker, beat_ms)"),
    renew("a renewal counts as a delivery", "claim[#claim + 1] = 'JUSTID'"),
    renew("a canceled action is not told", "canceled[#canceled + 1] = id"),
    sustain("another's action", "status[1] == 'inProgress' and status[2] == worker", "status[1] == 'inProgress'"),
    sustain("an action that has ended", "status[1] == 'inProgress' and status[2] == worker", "status[2] == worker"),
    sustain("what nobody has seen", "'-', ARGV[i + 1], limit", "'-', '+', limit"),
    sustain("another's entry", "limit, worker)", "limit)"),
    sustain("a worker that has left comes back", "redis.call('HLEN', beat) == 0", "false"),
    sustain("a heartbeat without an end", "redis.call('PEXPIRE', beat, beat_ms)"),
    sustain("it counts as a delivery", "claim[#claim + 1] = 'JUSTID'"),
    sustain("an action's lease stays", "redis.call('ZADD', running, int(now + lease_ms), id)"),
    sustain("the actions renewed first hide the others", "int(now + lease_ms - age_ms)", "'+inf'"),
    sustain("one damaged status takes all", "read_status(id, ", "redis.call('HMGET', NS .. 'status:' .. id, "),
    death("all deaths are kept", "math.max(1, #lines - MOST_DEATHS + 1)", "1", "redeliver"),
    death("earlier deaths are forgotten", "(died or '')", "('')", "redeliver"),
    redeliver("who died is not told", "'died', add_death(one.died, now, one.worker)", "'died', ''"),
    expire("who died is not told", "{ 'died', one.died }", "{}"),
    leave(
        "deliveries go with the worker", "deliver(queue, fields.job,", "local _ = (function() end)(queue, fields.job,"
    ),
    leave("the old entry stays", "drop_entry(queue, entry[1])"),
    leave("the error of a sealed job goes", ", head, fields.poison)", ", head)", "seal"),
    leave("what was given back comes twice", " and status[2] == fields.token"),
    leave("another's lease to promote ends", "if redis.call('GET', NS .. 'promoter') == promoter then", "if true then"),
    join("what was ready before is missed", "GROUP, '0', 'MKSTREAM'", "GROUP, '$', 'MKSTREAM'"),
    read("the sequence is not told", "redis.call('GET', NS .. 'sequence') or '0'", "'0'"),
    # The doctor
    fields("a name is taken for its value", "flat[i + 1]", "flat[i]"),
    group("any group will do", "if fields.name == GROUP then", "if true then"),
    judge(
        "what has moved on is out of place",
        "if place ~= '' and not redis.call('ZSCORE', NS .. place, id) then",
        "if false then",
    ),
    judge("an entry of another delivery counts", "fields.token == token", "true"),
    judge("what waits is lost", "redis.call('ZSCORE', NS .. 'due:' .. queue, id) or ", ""),
    judge("what is ready is lost", " or has_entry(queue, status[3], status[2]))", ")"),
    judge("nothing is lost", "return (waits or not is_sound(queue)) and 'OK' or 'LOST'", "return 'OK'"),
    judge("nobody asks for a lease", "redis.call('ZSCORE', NS .. 'running', id) and 'OK' or 'UNWATCHED'", "'OK'"),
    judge("no listing will do", "redis.call('ZSCORE', NS .. 'done:' .. state, id) or not", "true or not"),
    judge("a tombstone is an orphan", "redis.call('PTTL', NS .. 'status:' .. id) == -1", "true"),
    judge(
        "what began is due",
        "return (spec == '' or state) and 'DANGLING' or 'OK'",
        "return spec == '' and 'DANGLING' or 'OK'",
    ),
    judge("a member without a document belongs there", "redis.call('EXISTS', NS .. 'doc:' .. id) == 0", "false"),
    judge("every member is of no document", "redis.call('EXISTS', NS .. 'doc:' .. id) == 0", "true"),
    mend("a member without a document stays", "redis.call('ZREM', NS .. place, member)"),
    judge("an entry without a token is ours", "if not fields.job or not fields.token then", "if not fields.job then"),
    judge("an entry counts for ever", "if status and (status[1] or status[2] ~= fields.token) then", "if false then"),
    judge("nobody holds what is held", "#redis.call('XPENDING', stream, GROUP, entry, entry, 1) > 0", "false"),
    judge("what was never handed out is stranded", "last_handed_out(stream), 'COUNT', 1", "'+', 'COUNT', 1"),
    mend("a stranded job is not delivered", "mend_job(id, '')"),
    judge(
        "an idempotency key is its own",
        "NS .. 'status:' .. id) == 0 and 'ORPHAN' or 'OK'",
        "NS .. 'status:' .. id) == 9 and 'ORPHAN' or 'OK'",
    ),
    mend("a lost job is not delivered", "  add_due(job.queue, job.id, now, now)"),
    mend(
        "an action is delivered again", "redis.call('ZADD', NS .. 'running', int(now + lease_ms), id)", "run_again(job)"
    ),
    mend(
        "a record is not listed",
        "    list_ended(id, job.status[1], tonumber(job.status[4] or '') or now, job.name or '')\n",
    ),
    mend("a member stays", "redis.call('ZREM', NS .. place, id)"),
    mend("a status stays", "redis.call('DEL', NS .. 'status:' .. id)"),
    mend("a key stays", "redis.call('DEL', NS .. 'key:' .. key)"),
    mend("an entry stays", "drop_entry(queue, entry)"),
    mend("a group from the last entry on", "GROUP, '0', 'MKSTREAM'", "GROUP, '$', 'MKSTREAM'"),
    mend("what has ended runs", "if completed then", "if false then"),
    mend("a running action is delivered", "redis.call('ZSCORE', NS .. 'running', job.id)", "false"),
    mend("nothing goes on", "settle_queues(now, nonce)"),
    # Looking
    count("what is ready is not pending", " + redis.call('XLEN', NS .. 'ready:' .. queue)"),
    count("what waits is not pending", "redis.call('ZCARD', NS .. 'due:' .. queue) + "),
    describe("functions of deployments that are gone are told", "seen > newest - LIVE_MS and", "seen and"),
    show("a job without a spec has none", "{ spec or '', status }", "{ '', status }"),
    show("a damaged job hides the others", "redis.pcall('GET', ", "redis.call('GET', "),
    show("nothing has happened", "{ spec or '', status }", "{ spec or '', {} }"),
    tally("of one function for all", "NS .. 'stats:' .. ARGV[i]", "NS .. 'stats:' .. ARGV[2]"),
]
