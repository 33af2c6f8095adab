-- Puts in order what `examine` finds, if it is still so: looks again, and only then writes.
--   LOST       the job gets a new delivery; whoever holds an old one has lost it (the fence)
--   UNWATCHED  the action gets one more lease: if its worker lives it renews that, else the action fails
--   UNLISTED   the record is listed, and removed when its time comes
--   DANGLING   the member leaves its set
--   ORPHAN     the status of no job, or the idempotency key of no job, goes
--   STATUS     a status of the wrong type is made anew, by where its job is
--   FOREIGN, STALE  the entry leaves its stream
--   STRANDED   so does this one, and its job gets a new delivery
--   GROUPLESS  the group is made, from the first entry on
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 a lease in ms, then rows as `examine` takes them
-- Returns for each row the word of what was mended; OK where there was nothing to mend, or nothing that can be mended (SPEC).
-- Again: OK.
-- Cost  O(rows). Caller: `duestream doctor --fix`.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: entry
-- include: spec
-- include: stats
-- include: complete
-- include: deliver
-- include: due
-- include: fields
-- include: group
-- include: stranded
-- include: judge

local now = read_clock()
local nonce, lease_ms = ARGV[2], tonumber(ARGV[3])

local function run_again(job)
  look_at_queue(job.queue)
  redis.call('HDEL', NS .. 'status:' .. job.id, 'token', 'entry')
  add_due(job.queue, job.id, now, now)
  write_gathered() -- the next row is judged by what is there
end

-- Where the job is tells what its status said. In progress it is failed by `expire`, due it is delivered by `promote`.
local function mend_by_place(job)
  for state in pairs(ENDED) do
    local completed = tonumber(redis.call('ZSCORE', NS .. 'done:' .. state, job.id) or '')
    if completed then
      mend_status(job.id)
      redis.call('HSET', NS .. 'status:' .. job.id, 'state', state, 'completed', int(completed))
      return 'STATUS'
    end
  end
  if not job.queue or redis.call('ZSCORE', NS .. 'running', job.id)
    or redis.call('ZSCORE', NS .. 'due:' .. job.queue, job.id) then
    return 'OK'
  end
  mend_status(job.id)
  run_again(job)
  return 'STATUS'
end

local function mend_job(id, place)
  local word, job = judge_job(id, place)
  if word == 'DANGLING' then
    redis.call('ZREM', NS .. place, id)
  elseif word == 'ORPHAN' then
    redis.call('DEL', NS .. 'status:' .. id)
  elseif word == 'LOST' then
    run_again(job)
  elseif word == 'UNWATCHED' then
    redis.call('ZADD', NS .. 'running', int(now + lease_ms), id)
  elseif word == 'UNLISTED' then
    list_ended(id, job.status[1], tonumber(job.status[4] or '') or now, job.name or '')
    write_gathered() -- as above
  elseif word == 'STATUS' then
    return mend_by_place(job)
  elseif word == 'SPEC' then
    return 'OK'
  end
  return word
end

local function mend_entry(queue, entry)
  local word, id = judge_entry(queue, entry)
  if word ~= 'OK' then
    drop_entry(queue, entry)
    write_gathered() -- the job is judged by what is there
  end
  if word == 'STRANDED' then
    mend_job(id, '')
  end
  return word
end

local function mend_key(key)
  local word = judge_key(key)
  if word ~= 'OK' then
    redis.call('DEL', NS .. 'key:' .. key)
  end
  return word
end

local function mend_queue(queue)
  local word = judge_queue(queue)
  if word ~= 'OK' then
    redis.call('XGROUP', 'CREATE', NS .. 'ready:' .. queue, GROUP, '0', 'MKSTREAM')
  end
  return word
end

local function mend_member(member, place)
  local word = judge_member(member, place)
  if word ~= 'OK' then
    redis.call('ZREM', NS .. place, member)
  end
  return word
end

-- The types of all that is written here besides what belongs to one row.
check_wake()
check_complete('')
redis.call('ZCARD', NS .. 'running')
redis.call('SISMEMBER', NS .. 'queues', '')
local mends = { job = mend_job, entry = mend_entry, key = mend_key, queue = mend_queue, member = mend_member }
local reply = {}
for i = 4, #ARGV, 3 do
  reply[#reply + 1] = mends[ARGV[i]](ARGV[i + 1], ARGV[i + 2])
end
write_gathered()
settle_queues(now, nonce)
return reply
