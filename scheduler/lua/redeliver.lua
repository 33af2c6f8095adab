-- Takes deliveries back from workers that died: each gets a new entry with a new token (C3.3), or fails past the cap (C3.4).
-- A sealed job past the cap is delivered again with its error: its SQL may have committed, so only a worker that looks there
-- can tell whether it failed.
-- One that had been lost before goes back to the due set, later each time and at a moment of its own: poison must not take the
-- same others down with it every time.
-- So do entries whose consumer somebody has deleted: nobody holds them, and no reader would ever see them again.
-- A normal path, not an emergency: a reply cut off on the wire leaves entries with a reader that never saw them.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 idle time in ms after which a delivery is lost, 4 most deaths of one job,
--       5 most entries a queue (1 to 1000), 6 the error of a job past the cap (msgpack)
-- Returns {redelivered, failed, entries still held by workers, queues that had more}
-- Again: the next ones; an entry is taken back once, since it leaves its stream in the same step.
-- Cost  O(entries). Caller: Janitor.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: spec
-- include: stats
-- include: death
-- include: complete
-- include: deliver
-- include: due
-- include: fields
-- include: group
-- include: stranded

local now = read_clock()
local nonce, idle_ms, cap, limit, failure = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

-- Each by the lease of its own worker, if that is still known: deployments with different leases work side by side.
local idle_times = {}

local function idle_of(consumer)
  if not idle_times[consumer] then
    local known = is_of('worker:' .. consumer, 'hash') and redis.call('HGET', NS .. 'worker:' .. consumer, 'lease_ms')
    local lease_ms = tonumber(known or '')
    idle_times[consumer] = math.max(tonumber(idle_ms), lease_ms and lease_ms * 3 / 4 or 0)
  end
  return idle_times[consumer]
end

-- What is known of a lost entry; without `deaths` where it counts no longer.
local function look_at_entry(queue, stream, entry, consumer)
  local fields = read_entry(stream, entry) or {}
  local one = { queue = queue, entry = entry, id = fields.job, worker = consumer }
  local status = fields.job
    and read_status(fields.job, 'state', 'token', 'deaths', 'waiters', 'sealed', 'died')
  if fields.job and not status then
    -- What has begun or ended has no entry any more: this one counts.
    one.damaged, status = true, { false, fields.token }
  end
  if status and not status[1] and status[2] == fields.token then
    one.head = read_head(fields.job) or ''
    one.attempt, one.deaths = tonumber(fields.attempt) or 1, (tonumber(status[3] or '') or 0) + 1
    one.waiters, one.sealed, one.died = status[4], status[5], status[6]
    local _, name, key = read_spec(one.head)
    one.name, one.key = name or '', key or ''
    check_complete(one.name)
  end
  return one
end

-- The lost entries of a queue, `limit` at most. Those of workers with a longer lease are passed over, page by page.
local PAGES = 10

local function find_lost(queue, stream)
  local found, start = {}, '-'
  for _ = 1, PAGES do
    local entries = redis.call('XPENDING', stream, GROUP, 'IDLE', idle_ms, start, '+', limit)
    for _, entry in ipairs(entries) do
      if #found < limit and tonumber(entry[3]) >= idle_of(entry[2]) then
        found[#found + 1] = look_at_entry(queue, stream, entry[1], entry[2])
      end
    end
    if #entries < limit or #found == limit then
      break
    end
    start = '(' .. entries[#entries][1]
  end
  return found
end

local lost, held, more = {}, 0, 0
for _, queue in ipairs(redis.call('SMEMBERS', NS .. 'queues')) do
  local stream = NS .. 'ready:' .. queue
  if is_sound(queue) and has_group(stream) then
    look_at_queue(queue)
    held = held + tonumber(redis.call('XPENDING', stream, GROUP)[1])
    local found = find_lost(queue, stream)
    for _, one in ipairs(found) do
      lost[#lost + 1] = one
    end
    local stranded = find_stranded(stream, limit)
    for _, entry in ipairs(stranded) do
      local one = look_at_entry(queue, stream, entry, '')
      one.stranded, one.deaths = true, one.deaths and one.deaths - 1 -- nobody is known to have died of it
      lost[#lost + 1] = one
    end
    if #found == limit or #stranded == limit then
      more = more + 1
    end
  end
end

-- From the second death on, up to half a second, and twice as long with each: the id says which part of it. Ids that follow
-- one another come out far apart.
local AGAIN_MS, MOST_AGAIN_MS = 500, 60000

local function pause_of(one)
  local longest = math.min(AGAIN_MS * 2 ^ (one.deaths - 2), MOST_AGAIN_MS)
  return math.ceil(longest * (tonumber(one.id:sub(-4), 36) * 40503 % 65536 + 1) / 65536)
end

local redelivered, failed = 0, 0
check_wake()
for i, one in ipairs(lost) do
  drop_entry(one.queue, one.entry)
  held = held - (one.stranded and 0 or 1)
  if one.deaths then
    if one.damaged then
      mend_status(one.id)
    end
    redis.call('HSET', NS .. 'status:' .. one.id, 'attempts', int(one.attempt))
    if not one.stranded then
      redis.call('HSET', NS .. 'status:' .. one.id, 'deaths', int(one.deaths),
        'died', add_death(one.died, now, one.worker))
    end
    if (one.deaths >= cap and not one.sealed) or one.head == '' then
      redis.call('HDEL', NS .. 'status:' .. one.id, 'token', 'entry')
      complete(one.id, 'failed', now, one.name, one.key, one.waiters, { 'error', failure })
      failed = failed + 1
    elseif one.deaths > 1 and one.deaths < cap then
      redis.call('HDEL', NS .. 'status:' .. one.id, 'token', 'entry')
      redis.call('HSET', NS .. 'status:' .. one.id, 'retried', int(now))
      add_due(one.queue, one.id, now + pause_of(one), now)
      redelivered = redelivered + 1
    else
      deliver(one.queue, one.id, one.attempt + 1, nonce .. ':' .. i, one.head, one.deaths >= cap and failure or nil)
      redelivered = redelivered + 1
    end
  end
end
write_gathered()
settle_queues(now, nonce)
return { redelivered, failed, held, more }
