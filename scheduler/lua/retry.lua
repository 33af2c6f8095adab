-- Gives deliveries back: the jobs stay pending and run again, at once or after a delay (C3.3).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 n, then n times: id, queue, entry, token, attempts made so far, delay in ms,
--       function, conflicts that are among the attempts, '1' to take its seal off: the caller had the row in SQL, and has
--       rolled back; else ''
-- Returns n words: OK; LOST, the delivery is another's, the job ended, or its status is damaged.
-- Again: LOST, nothing changes (the job has a new delivery, or none).
-- Cost  O(n log due). Caller: Committer.
-- flags: allow-oom
-- include: base
-- include: job
-- include: stats
-- include: deliver
-- include: due

local ARGS = 9
local now, soon = read_clock()
local nonce, retries = ARGV[2], tonumber(ARGV[3])
local replies, heads, seen = {}, {}, {}

check_wake()
for i = 1, retries do
  local at = 4 + (i - 1) * ARGS
  local status = read_status(ARGV[at], 'state', 'token') or {}
  look_at_queue(ARGV[at + 1])
  heads[i] = read_head(ARGV[at])
  look_at_stats(ARGV[at + 6])
  replies[i] = (status[2] == ARGV[at + 3] and not status[1]) and not seen[ARGV[at]] and 'OK' or 'LOST'
  seen[ARGV[at]] = seen[ARGV[at]] or replies[i] == 'OK'
end

for i = 1, retries do
  if replies[i] == 'OK' then
    local at = 4 + (i - 1) * ARGS
    local id, queue, entry, attempts, delay = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4], tonumber(ARGV[at + 5])
    drop_entry(queue, entry)
    redis.call('HSET', NS .. 'status:' .. id, 'attempts', attempts)
    redis.call('HDEL', NS .. 'status:' .. id, 'deaths') -- its worker lived to tell
    if tonumber(ARGV[at + 7]) > 0 then
      count(ARGV[at + 6], 'conflicts', ARGV[at + 7])
    end
    if ARGV[at + 8] == '1' then
      redis.call('HDEL', NS .. 'status:' .. id, 'sealed')
    end
    if delay > 0 then
      redis.call('HDEL', NS .. 'status:' .. id, 'token', 'entry')
      redis.call('HSET', NS .. 'status:' .. id, 'retried', int(now)) -- a list that is being read knows that it has moved
      add_due(queue, id, soon + delay, now)
    else
      deliver(queue, id, tonumber(attempts) + 1, nonce .. ':' .. i, heads[i])
    end
  end
end
settle_queues(now, nonce)
return replies
