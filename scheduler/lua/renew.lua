-- A worker's sign of life: renews the leases of all it holds, and its heartbeat.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 worker's name, 3 lease in ms, 4 life of the heartbeat in ms, 5 jobs it runs,
--       6 connection id of its blocking reader ('' unknown), 7 n actions, then n times: id, token;
--       then for each queue: queue, m entries, then the m entry ids
-- Returns {now in ms, lost actions as ids, canceled actions as ids, then for each queue a list of the entries still held}
-- Again: the same.
-- Cost  O(held log running). Caller: Lease, from a thread of its own.
-- flags: allow-oom
-- include: base
-- include: job

local now = read_clock()
local worker, lease_ms, beat_ms, running = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local lost, canceled = {}, {}
local at = 8

redis.call('ZADD', NS .. 'workers', int(now), worker)
redis.call('HSET', NS .. 'worker:' .. worker, 'seen', int(now), 'running', running, 'reader', ARGV[6])
redis.call('PEXPIRE', NS .. 'worker:' .. worker, beat_ms)

for _ = 1, tonumber(ARGV[7]) do
  local id, token = ARGV[at], ARGV[at + 1]
  at = at + 2
  local status = read_status(id, 'state', 'token') or {} -- a damaged one loses this lease, and no other
  if status[1] == 'inProgress' and status[2] == token then
    redis.call('ZADD', NS .. 'running', int(now + lease_ms), id)
  elseif status[1] == 'canceled' then
    canceled[#canceled + 1] = id
  else
    lost[#lost + 1] = id
  end
end

-- XCLAIM with JUSTID resets the idle time, counts no delivery, and passes over entries that are gone. A destroyed group
-- holds nothing: its error means that all of the queue's entries are lost.
local reply = { int(now), lost, canceled }
while ARGV[at] do
  local claim = { 'XCLAIM', NS .. 'ready:' .. ARGV[at], GROUP, worker, 0 }
  local entries = tonumber(ARGV[at + 1])
  for i = 1, entries do
    claim[#claim + 1] = ARGV[at + 1 + i]
  end
  claim[#claim + 1] = 'JUSTID'
  local held = redis.pcall(unpack(claim))
  reply[#reply + 1] = held.err and {} or held
  at = at + 2 + entries
end
return reply
