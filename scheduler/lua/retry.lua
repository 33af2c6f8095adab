-- Gives deliveries back: the jobs stay pending and run again, at once or after a delay (C3.3). Where the process that ran a job
-- died, that is one of its deaths, and past the cap it fails (C3.4); but not a sealed one: its SQL may have committed.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 worker's name, 4 most deaths of one job, 5 n, then n times:
--         id, queue, entry, token, attempts made so far, delay in ms, function, conflicts that are among the attempts,
--         '1' to take its seal off: the caller had the row in SQL, and has rolled back; else '',
--         idempotency key or '', the error of a job whose process died (msgpack) or '',
--         which part of its pause it is to wait, in millionths, or '': the delay is as it is said
-- Returns n words: OK; FAILED, it died once too often; LOST, the delivery is another's, the job ended, or its status is damaged.
-- Again: LOST, nothing changes (the job has a new delivery, or none).
-- Cost  O(n log due). Caller: Committer.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: stats
-- include: death
-- include: complete
-- include: deliver
-- include: due

local ARGS = 12
-- What passes with time comes again after up to half a second, and twice as long with each time that it did not pass. What else
-- made a job start again (conflicts, deaths, stops) does not count: it would make the first lost connection wait for minutes.
local FIRST_MS, MOST_MS, MOST_PASSES = 500, 2 * 3600 * 1000, 1000
local now, soon = read_clock()
local nonce, worker, cap, retries = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local replies, heads, deaths, passes, seen = {}, {}, {}, {}, {}

local function pause_of(pass, millionths)
  return math.max(1, math.floor(math.min(FIRST_MS * 2 ^ (pass - 1), MOST_MS) * millionths / 1000000))
end

check_wake()
for i = 1, retries do
  local at = 6 + (i - 1) * ARGS
  local status = read_status(ARGV[at], 'state', 'token', 'deaths', 'waiters', 'sealed', 'died', 'passes') or {}
  look_at_queue(ARGV[at + 1])
  heads[i] = read_head(ARGV[at])
  look_at_stats(ARGV[at + 6])
  replies[i] = (status[2] == ARGV[at + 3] and not status[1]) and not seen[ARGV[at]] and 'OK' or 'LOST'
  seen[ARGV[at]] = seen[ARGV[at]] or replies[i] == 'OK'
  if ARGV[at + 11] ~= '' then
    local before = tonumber(status[7] or '') or 0
    passes[i] = before > 0 and before < MOST_PASSES and math.floor(before) + 1 or 1
  end
  if replies[i] == 'OK' and ARGV[at + 10] ~= '' then
    local number = (tonumber(status[3] or '') or 0) + 1
    deaths[i] = { number = number, waiters = status[4], died = add_death(status[6], now, worker) }
    if number >= cap and not status[5] then
      check_complete(ARGV[at + 6])
      replies[i] = 'FAILED'
    end
  end
end

for i = 1, retries do
  local at = 6 + (i - 1) * ARGS
  local id, queue, entry, attempts, delay = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4], tonumber(ARGV[at + 5])
  local name = ARGV[at + 6]
  if passes[i] then
    delay = pause_of(passes[i], tonumber(ARGV[at + 11]))
  end
  if replies[i] ~= 'LOST' then
    drop_entry(queue, entry)
    redis.call('HSET', NS .. 'status:' .. id, 'attempts', attempts)
    if passes[i] then
      redis.call('HSET', NS .. 'status:' .. id, 'passes', int(passes[i]))
    end
    if deaths[i] then
      redis.call('HSET', NS .. 'status:' .. id, 'deaths', int(deaths[i].number), 'died', deaths[i].died)
    else
      redis.call('HDEL', NS .. 'status:' .. id, 'deaths') -- its worker lived to tell
    end
    if tonumber(ARGV[at + 7]) > 0 then
      count(name, 'conflicts', ARGV[at + 7])
    end
    if ARGV[at + 8] == '1' then
      redis.call('HDEL', NS .. 'status:' .. id, 'sealed')
    end
  end
  if replies[i] == 'OK' and delay == 0 then
    deliver(queue, id, tonumber(attempts) + 1, nonce .. ':' .. i, heads[i])
  elseif replies[i] ~= 'LOST' then
    redis.call('HDEL', NS .. 'status:' .. id, 'token', 'entry')
    if replies[i] == 'OK' then
      redis.call('HSET', NS .. 'status:' .. id, 'retried', int(now)) -- a list that is being read knows that it has moved
      add_due(queue, id, soon + delay, now)
    else
      complete(id, 'failed', now, name, ARGV[at + 9], deaths[i].waiters, { 'error', ARGV[at + 10] })
    end
  end
end
write_gathered()
settle_queues(now, nonce)
return replies
