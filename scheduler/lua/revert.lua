-- Takes begun actions back whose ack is not as safe as was asked for: their first line has not run (C7.2). They are pending
-- again, and run later. On a server that has lost the begin they are pending already, and given back all the same.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 worker's name, 4 delay in ms, 5 n, then n times: id, queue, entry, token, attempt
-- Returns n words: OK; LOST, the delivery is another's, the job ended, or its status is damaged.
-- Again: LOST, nothing changes (the job has a new delivery, or none).
-- Cost  O(n log due). Caller: Beginner, before it starts any of them.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: deliver
-- include: due

local ARGS = 5
local now, soon = read_clock()
local nonce, worker, delay, count = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local replies, seen = {}, {}

check_wake()
redis.call('ZCARD', NS .. 'running')
for i = 1, count do
  local at = 6 + (i - 1) * ARGS
  local status = read_status(ARGV[at], 'state', 'token', 'worker') or {}
  local mine = not status[1] or (status[1] == 'inProgress' and status[3] == worker)
  look_at_queue(ARGV[at + 1])
  read_head(ARGV[at])
  replies[i] = status[2] == ARGV[at + 3] and mine and not seen[ARGV[at]] and 'OK' or 'LOST'
  seen[ARGV[at]] = seen[ARGV[at]] or replies[i] == 'OK'
end

for i = 1, count do
  if replies[i] == 'OK' then
    local at = 6 + (i - 1) * ARGS
    local id, queue, entry, attempt = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 4])
    drop_entry(queue, entry)
    redis.call('ZREM', NS .. 'running', id)
    redis.call('HDEL', NS .. 'status:' .. id, 'state', 'token', 'entry', 'started', 'worker', 'deaths')
    redis.call('HSET', NS .. 'status:' .. id, 'attempts', int(attempt - 1), 'retried', int(now)) -- it was not started
    add_due(queue, id, soon + delay, now)
  end
end
write_gathered()
settle_queues(now, nonce)
return replies
