-- The sign of life of a worker that cannot give its own, for a handler holds all of its process: renews by the worker's name
-- what it had in hand, and its heartbeat.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 worker's name, 3 lease in ms, 4 life of the heartbeat in ms, 5 age in ms below which a lease is
--       left as it is, 6 most entries a queue, and most actions (1 to 1000), then for each queue: queue, id of the last entry the
--       worker has seen; what was handed out after it waits in a reply that nobody reads, and is redelivered
-- Returns {entries renewed, actions renewed}; both 0 where the worker is unknown: it has left, and is not brought back.
-- Again: the next ones, until all are younger than ARGV 5.
-- Cost  O(queues + leases). Caller: the keeper's process.
-- flags: allow-oom
-- include: base
-- include: job

local now = read_clock()
local worker, lease_ms, beat_ms = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local age_ms, limit = tonumber(ARGV[5]), ARGV[6]
local beat, running = NS .. 'worker:' .. worker, NS .. 'running'

redis.call('ZCARD', NS .. 'workers')
if redis.call('HLEN', beat) == 0 then
  return { 0, 0 }
end

-- Those whose leases end first: the actions of workers that renew theirs come later. One damaged status costs only its own job.
local actions = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', running, '-inf', int(now + lease_ms - age_ms), 'LIMIT', 0, limit)) do
  local status = read_status(id, 'state', 'worker') or {}
  if status[1] == 'inProgress' and status[2] == worker then
    actions[#actions + 1] = id
  end
end

redis.call('ZADD', NS .. 'workers', int(now), worker)
redis.call('HSET', beat, 'seen', int(now))
redis.call('PEXPIRE', beat, beat_ms)
for _, id in ipairs(actions) do
  redis.call('ZADD', running, int(now + lease_ms), id)
end

-- A destroyed group holds nothing: its error is none of ours.
local entries = 0
for i = 7, #ARGV, 2 do
  local stream = NS .. 'ready:' .. ARGV[i]
  local pending = redis.pcall('XPENDING', stream, GROUP, 'IDLE', ARGV[5], '-', ARGV[i + 1], limit, worker)
  if not pending.err and #pending > 0 then
    local claim = { 'XCLAIM', stream, GROUP, worker, 0 }
    for _, entry in ipairs(pending) do
      claim[#claim + 1] = entry[1]
    end
    claim[#claim + 1] = 'JUSTID'
    entries = entries + #redis.call(unpack(claim))
  end
end
return { entries, #actions }
