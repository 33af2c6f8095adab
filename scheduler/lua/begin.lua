-- Acks actions and records them as inProgress, before their first line runs (C3.5).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 worker's name, 3 lease in ms, 4 n, then n times: id, queue, entry, token, attempt
-- Returns n words: OK; ALREADY, this worker's own call was applied before; LOST, the delivery is another's, the job ended, one of
--         its keys is damaged, or it is sealed: it was a mutation when it last ran, and that one's SQL may have committed.
-- Again: ALREADY, nothing changes; but its worker's name is written again. WAIT, which the worker may send after it (C7.2), is
--        for what its own connection wrote, and the first answer may have been lost with another connection.
-- Cost  O(n log running). Caller: worker, one call for all actions of a claim.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: deliver

local ARGS = 5
local now = read_clock()
local worker, lease_ms, count = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local lease_end = int(now + lease_ms)
local replies, seen, streams = {}, {}, {}

local function has_stream(queue)
  if streams[queue] == nil then
    streams[queue] = is_of('ready:' .. queue, 'stream')
  end
  return streams[queue]
end

redis.call('ZCARD', NS .. 'running')
for i = 1, count do
  local at = 5 + (i - 1) * ARGS
  local status = read_status(ARGV[at], 'state', 'token', 'worker', 'sealed')
  if not status or not has_stream(ARGV[at + 1]) or status[2] ~= ARGV[at + 3] then
    replies[i] = 'LOST'
  elseif seen[ARGV[at]] then
    replies[i] = 'LOST' -- the caller starts it for the first word
  elseif not status[1] then
    replies[i] = status[4] and 'LOST' or 'OK'
  elseif status[1] == 'inProgress' and status[3] == worker then
    replies[i] = 'ALREADY'
  else
    replies[i] = 'LOST'
  end
  seen[ARGV[at]] = seen[ARGV[at]] or replies[i] ~= 'LOST'
end

for i = 1, count do
  if replies[i] == 'OK' then
    local at = 5 + (i - 1) * ARGS
    local id, queue, entry, attempt = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
    drop_entry(queue, entry)
    redis.call('HSET', NS .. 'status:' .. id, 'state', 'inProgress', 'started', int(now), 'worker', worker,
      'attempts', attempt)
    redis.call('HDEL', NS .. 'status:' .. id, 'entry')
    add_score('running', lease_end, id)
  elseif replies[i] == 'ALREADY' then
    redis.call('HSET', NS .. 'status:' .. ARGV[5 + (i - 1) * ARGS], 'worker', worker)
  end
end
write_gathered()
return replies
