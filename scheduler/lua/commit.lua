-- Ends mutations: writes, children, cancels, result, acknowledgement and change of state, all together or not at all (C3.1).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 worker's name, 4 n, then n times:
--         id, function, queue, idempotency key or '', entry, token, attempt, ms since it started,
--         state ('success' | 'failed'), result or error (msgpack),
--         reads,    then for each: kind, key, the version seen (see versions.lua)
--         writes,   then for each: op ('put' | 'add' | 'del'), document id, data (msgpack, '' for 'del')
--         children, then for each: CREATE_ARGS (see create.lua)
--         cancels,  then for each: id
--       A mutation that an action runs at once is no job of its own: its id, queue, key and entry are '', and a marker named
--       by its token takes the place of the record.
-- Returns n words: OK; ALREADY, this delivery was committed before; LOST, it is another's or the job ended;
--         CONFLICT, something it read has changed; SEALED, another delivery sealed it, and this one has not asked SQL.
-- Again: ALREADY, nothing changes.
-- Cost  O(n log done + reads + writes + children). Caller: Committer.
-- Memory: refused as a whole when the server is full, unless no job of the call writes, schedules or cancels (the caller chooses)
-- include: base
-- include: spec
-- include: complete
-- include: deliver
-- include: due
-- include: create
-- include: withdraw
-- include: versions

local now, soon = read_clock()
local nonce, worker, count = ARGV[2], ARGV[3], tonumber(ARGV[4])
local cursor = 5

local function take(n)
  cursor = cursor + n
  return cursor - n
end

-- Each list becomes places in ARGV: nothing is copied before it is written.
local function take_list(width)
  local places = {}
  for i = 1, tonumber(ARGV[take(1)]) do
    places[i] = take(width)
  end
  return places
end

local MARKER_MS = 600 * 1000

local function marker_of(job)
  return NS .. 'applied:' .. job.token
end

-- Word, and what else the status says. The fence is the first check.
local function check_fence(job)
  if job.id == '' then
    return redis.call('EXISTS', marker_of(job)) == 1 and 'ALREADY' or 'OK'
  end
  local status = redis.call('HMGET', NS .. 'status:' .. job.id, 'state', 'token', 'waiters', 'sealed')
  job.waiters = status[3]
  if status[2] ~= job.token then
    return 'LOST'
  end
  if not status[1] and status[4] and status[4] ~= job.token then
    return 'SEALED'
  end
  return status[1] and 'ALREADY' or 'OK'
end

-- What the accepted jobs of this call are about to change: a later one of the same call that read it has a conflict.
local changed = {}

local function check_reads(reads)
  for _, at in ipairs(reads) do
    local kind, key = ARGV[at], ARGV[at + 1]
    if changed[kind .. ':' .. key] or version_of(kind, key) ~= ARGV[at + 2] then
      return 'CONFLICT'
    end
  end
  return 'OK'
end

-- Wrong types fail here, before the first write; whatever is read before a write carries its version in the read set.
local function check_effects(job)
  for _, at in ipairs(job.writes) do
    redis.call('HLEN', NS .. 'doc:' .. ARGV[at + 1])
    redis.call('ZCARD', NS .. 'table:' .. ARGV[at + 1]:match('^[^:]*'))
  end
  for i, at in ipairs(job.children) do
    local child = read_create(at)
    job.children[i] = child
    -- Run by an action that was canceled while its code goes on (C4, C4.2).
    if job.id == '' and redis.call('HGET', NS .. 'status:' .. child.parent, 'state') == 'canceled' then
      child.born = 'canceled'
    end
    check_create(child)
  end
  for i, at in ipairs(job.cancels) do
    local outcome, found = look_at_job(ARGV[at])
    -- The status does not say yet what this call is about to end, and a job ends once (C5.1).
    if changed['job:' .. found.id] or found.id == job.id then
      outcome = 'FINISHED'
    end
    changed['job:' .. found.id] = changed['job:' .. found.id] or outcome == 'CANCELED' or outcome == 'RUNNING'
    job.cancels[i] = { outcome, found }
  end
end

local function mark_changes(job)
  for _, at in ipairs(job.writes) do
    changed['doc:' .. ARGV[at + 1]] = true
  end
  for _, child in ipairs(job.children) do
    changed['key:' .. child.key] = child.key ~= '' or nil
  end
  changed['job:' .. job.id] = job.id ~= '' or nil
end

local function end_job(job)
  if job.id == '' then
    redis.call('SET', marker_of(job), '1', 'PX', MARKER_MS)
    return
  end
  drop_entry(job.queue, job.entry)
  redis.call('HDEL', NS .. 'status:' .. job.id, 'entry', 'sealed')
  complete(job.id, job.state, now, job.name, job.key, job.waiters, {
    'started', int(now - job.elapsed), 'worker', worker, 'attempts', job.attempt,
    job.state == 'success' and 'result' or 'error', job.value,
  })
end

local function write_documents(job)
  if #job.writes == 0 then
    return
  end
  local sequence = int(redis.call('INCR', NS .. 'sequence'))
  local version = sequence .. '-' .. job.token
  for _, at in ipairs(job.writes) do
    local op, id, data = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local documents = NS .. 'table:' .. id:match('^[^:]*')
    if op == 'del' then
      redis.call('DEL', NS .. 'doc:' .. id)
      redis.call('ZREM', documents, id)
    else
      redis.call('HSET', NS .. 'doc:' .. id, 'version', version, 'data', data)
      if op == 'add' then
        redis.call('ZADD', documents, sequence, id)
      end
    end
  end
end

local jobs = {}
for i = 1, count do
  local at = take(10)
  jobs[i] = {
    id = ARGV[at], name = ARGV[at + 1], queue = ARGV[at + 2], key = ARGV[at + 3], entry = ARGV[at + 4],
    token = ARGV[at + 5], attempt = ARGV[at + 6], elapsed = tonumber(ARGV[at + 7]), state = ARGV[at + 8],
    value = ARGV[at + 9], reads = take_list(3), writes = take_list(3), children = take_list(CREATE_ARGS),
    cancels = take_list(1),
  }
end

local replies = {}
local sequence = redis.call('GET', NS .. 'sequence')
assert(not sequence or tonumber(sequence), 'the sequence is damaged')
check_wake()
for i, job in ipairs(jobs) do
  replies[i] = changed['job:' .. job.id] and 'LOST' or check_fence(job)
  if replies[i] == 'OK' then
    if job.id ~= '' then
      look_at_queue(job.queue)
      check_complete(job.name, job.waiters)
    end
    replies[i] = check_reads(job.reads)
  end
  if replies[i] == 'OK' then
    check_effects(job)
    mark_changes(job)
  end
end

-- Writes nothing. But a full server refuses it, and so the whole call: after a write that frees memory (the XACK of a job
-- without effects, say) it would let all the rest pass.
redis.call('SETRANGE', NS .. 'sequence', 0, '')
for i, job in ipairs(jobs) do
  if replies[i] == 'OK' then
    write_documents(job)
    for _, child in ipairs(job.children) do
      create(child, now, soon)
    end
    for _, cancel in ipairs(job.cancels) do
      withdraw(cancel[1], cancel[2], now)
    end
    end_job(job)
  end
end
settle_queues(now, nonce)
return replies
