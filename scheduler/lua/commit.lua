-- Ends mutations: writes, children, cancels, result, acknowledgement and change of state of each all together or not at all (C3.1).
-- One after the other: each is checked and then written, so a later one sees what an earlier one of the same call did.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 worker's name, 4 n, then n times:
--         id, function, queue, entry, token, attempt, ms from its start to when this was written down, then Redis time in ms
--         ('': now), state ('success' | 'failed'), result or error (msgpack),
--         and the lengths of six lists, joined by spaces. '': nothing follows, for nearly all have nothing of it. Else:
--         idempotency key or '', conflicts before this commit, version of the catalog, and the rows of the lists:
--         reads     kind, key, the version seen (see versions.lua)
--         scans     SCAN_ARGS, the ids found, joined by spaces
--         writes    op ('put' | 'add' | 'del'), document id, data (msgpack, '' for 'del')
--         entries   op ('add' | 'del'), index after the prefix, document id, sort key of the values
--         children  CREATE_ARGS (see create.lua)
--         cancels   id
--       A mutation that an action runs at once is no job of its own: its id, queue, key and entry are '', and a marker named
--       by its token takes the place of the record.
-- Returns n words: OK; ALREADY, this delivery was committed before; LOST, it is another's, the job ended, or its status is damaged;
--         CONFLICT, something it read has changed; STALE, it writes by an older catalog of indexes than there is;
--         SEALED, another delivery sealed it, and this one has not asked SQL.
-- Again: ALREADY, nothing changes.
-- Cost  O(n log done + reads + documents found + writes + children). Caller: Committer.
-- Memory: refused as a whole when the server is full, unless no job of the call writes, schedules or cancels (the caller chooses)
-- include: base
-- include: gathered
-- include: arguments
-- include: job
-- include: spec
-- include: stats
-- include: complete
-- include: deliver
-- include: due
-- include: create
-- include: withdraw
-- include: entry
-- include: versions

local now, soon = read_clock()
local nonce, worker, commits = take(), take(), tonumber(take())
local catalog = redis.call('HGET', NS .. 'indexes', 'version') or '0'

local MARKER_MS = 600 * 1000

-- How long it was held up between being written down and now. The worker can only estimate when it wrote: it was not before
-- the delivery, whose entry has the server's own time.
local function lateness(entry, elapsed, written)
  local longest = now - elapsed - (tonumber(entry:match('^%d+')) or 0)
  return math.max(0, math.min(now - (tonumber(written) or now), longest))
end

local LISTS = { 'reads', 'scans', 'writes', 'entries', 'children', 'cancels' }
local WIDTHS = { 3, SCAN_ARGS + 1, 3, 4, CREATE_ARGS, 1 }
local NONE = {} -- shared, and never written

local function take_lists(job, lengths)
  local i = 0
  for length in lengths:gmatch('%d+') do
    i = i + 1
    job[LISTS[i]] = take_rows(WIDTHS[i], tonumber(length))
  end
  for k = i + 1, #LISTS do
    job[LISTS[k]] = NONE
  end
end

local function take_job()
  local at = skip(11)
  local entry, elapsed, lengths = ARGV[at + 3], tonumber(ARGV[at + 6]), ARGV[at + 10]
  local job = {
    id = ARGV[at], name = ARGV[at + 1], queue = ARGV[at + 2], entry = entry, token = ARGV[at + 4], attempt = ARGV[at + 5],
    elapsed = elapsed, late = lateness(entry, elapsed, ARGV[at + 7]), state = ARGV[at + 8], value = ARGV[at + 9],
    plain = lengths == '', key = '', conflicts = 0,
  }
  if not job.plain then
    job.key, job.conflicts, job.catalog = take(), tonumber(take()), take()
    take_lists(job, lengths)
  end
  return job
end

local function marker_of(job)
  return NS .. 'applied:' .. job.token
end

-- Word, and what else the status says. The fence is the first check.
local function check_fence(job)
  if job.id == '' then
    return redis.call('EXISTS', marker_of(job)) == 1 and 'ALREADY' or 'OK'
  end
  local status = read_status(job.id, 'state', 'token', 'waiters', 'sealed') or {}
  job.waiters = status[3]
  if status[2] ~= job.token then
    return 'LOST'
  end
  if not status[1] and status[4] and status[4] ~= job.token then
    return 'SEALED'
  end
  return status[1] and 'ALREADY' or 'OK'
end

local function check_reads(job)
  if not still_holds(job.reads, job.scans) then
    return 'CONFLICT'
  end
  return (#job.writes > 0 and job.catalog ~= catalog) and 'STALE' or 'OK'
end

-- Documents and their entries. `created` holds the number of creation by document id; that of a new one is still to come.
local function check_writes(job)
  job.created = {}
  for _, at in ipairs(job.writes) do
    local id = ARGV[at + 1]
    job.created[id] = redis.call('HGET', NS .. 'doc:' .. id, 'created') or ARGV[at] == 'add'
    redis.call('ZCARD', NS .. 'table:' .. id:match('^[^:]*'))
  end
  for _, at in ipairs(job.entries) do
    redis.call('ZCARD', NS .. 'index:' .. ARGV[at + 1])
    local id = ARGV[at + 2]
    local known = job.created[id]
    assert(known == true and ARGV[at] == 'add' or tonumber(known), id .. ' is damaged: it has no number of creation')
  end
end

-- Wrong types fail here, before the first write of the job.
local function check_effects(job)
  check_writes(job)
  for i, at in ipairs(job.children) do
    local child = read_create(at)
    job.children[i] = child
    if child.mode == 'after' then
      child.ms = child.ms - job.late -- from the mutation's start (C2.7)
    end
    check_create(child, job.id == '' and child.parent or '')
  end
  -- The status does not say yet what this job is about to end, and a job ends once (C5.1).
  local ended = { [job.id] = true }
  for i, at in ipairs(job.cancels) do
    local outcome, found = look_at_job(ARGV[at])
    job.cancels[i] = { ended[found.id] and 'FINISHED' or outcome, found }
    ended[found.id] = true
  end
end

-- What is gathered are ends and starts of jobs. Documents are written at once.
local function looks_at_jobs(job)
  for _, at in ipairs(job.reads) do
    if ARGV[at] ~= 'doc' then
      return true
    end
  end
  return #job.children > 0 or #job.cancels > 0
end

-- Word. Nothing of the job is written before it is OK.
local function check(job)
  local word = check_fence(job)
  if word ~= 'OK' then
    return word
  end
  if job.id ~= '' then
    look_at_queue(job.queue)
    check_complete(job.name)
  end
  if job.plain then
    return word
  end
  if looks_at_jobs(job) then
    write_gathered() -- it sees what earlier ones of the call did
  end
  word = check_reads(job)
  if word == 'OK' then
    check_effects(job)
  end
  return word
end

local function end_job(job)
  if job.id == '' then
    redis.call('SET', marker_of(job), '1', 'PX', MARKER_MS)
    return
  end
  drop_entry(job.queue, job.entry)
  redis.call('HDEL', NS .. 'status:' .. job.id, 'entry', 'sealed')
  complete(job.id, job.state, now, job.name, job.key, job.waiters, {
    'started', int(now - job.late - job.elapsed), 'worker', worker, 'attempts', job.attempt,
  }, job.value)
  if job.conflicts > 0 then
    count(job.name, 'conflicts', job.conflicts)
  end
end

-- The first number of creation for what a job adds. The sequence goes up with each commit that writes.
local function reserve(job)
  local added = 0
  for _, at in ipairs(job.writes) do
    added = added + (ARGV[at] == 'add' and 1 or 0)
  end
  return tonumber(redis.call('INCRBY', NS .. 'sequence', math.max(1, added))) - math.max(1, added)
end

-- An entry holds its document's number of creation: those to be removed go before new documents get theirs, new ones after.
local function write_entries(job, op)
  for _, at in ipairs(job.entries) do
    if ARGV[at] == op then
      local id = ARGV[at + 2]
      local entry = make_entry(ARGV[at + 3], job.created[id], id)
      if op == 'del' then
        redis.call('ZREM', NS .. 'index:' .. ARGV[at + 1], entry)
      else
        redis.call('ZADD', NS .. 'index:' .. ARGV[at + 1], 0, entry)
      end
    end
  end
end

-- The version is known to the worker before, and never stands for two payloads: a start that had a conflict has another number.
local function write_documents(job)
  if #job.writes == 0 then
    return
  end
  local version, number = job.attempt .. '-' .. job.token, reserve(job)
  write_entries(job, 'del')
  for _, at in ipairs(job.writes) do
    local op, id, data = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local key, documents = NS .. 'doc:' .. id, NS .. 'table:' .. id:match('^[^:]*')
    if op == 'del' then
      redis.call('DEL', key)
      redis.call('ZREM', documents, id)
    elseif op == 'put' then
      redis.call('HSET', key, 'version', version, 'data', data)
    else
      number = number + 1
      job.created[id] = number
      redis.call('HSET', key, 'version', version, 'created', int(number), 'data', data)
      redis.call('ZADD', documents, int(number), id)
    end
  end
  write_entries(job, 'add')
end

local function write(job)
  if not job.plain then
    write_documents(job)
    for _, child in ipairs(job.children) do
      create(child, now, soon, nonce)
    end
    for _, cancel in ipairs(job.cancels) do
      withdraw(cancel[1], cancel[2], now, {})
    end
  end
  end_job(job)
end

local sequence = redis.call('GET', NS .. 'sequence')
assert(not sequence or tonumber(sequence), 'the sequence is damaged')
check_wake()
-- Writes nothing. But a full server refuses it, and so the whole call: after a write that frees memory (the XACK of a job
-- without effects, say) it would let all the rest pass.
redis.call('SETRANGE', NS .. 'sequence', 0, '')
local replies = {}
for i = 1, commits do
  local job = take_job()
  local checked, word = pcall(check, job)
  if not checked then
    -- Those before it are committed: what they have made due goes on, and the promoter is woken for the rest.
    write_gathered()
    settle_queues(now, nonce)
    error(word, 0)
  end
  replies[i] = word
  if replies[i] == 'OK' then
    write(job)
  end
end
write_gathered()
settle_queues(now, nonce)
return replies
