-- Removes what workers that died left behind: their place in the list, and their empty consumers.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 ms without a heartbeat after which a worker is gone, 3 most workers
-- Returns the number of workers removed.
-- Again: the next ones.
-- Cost  O(workers removed x queues). Caller: Janitor.
-- flags: allow-oom
-- include: base

local now = read_clock()
local gone = redis.call('ZRANGEBYSCORE', NS .. 'workers', '-inf', int(now - tonumber(ARGV[2])), 'LIMIT', 0, ARGV[3])
local queues = #gone > 0 and redis.call('SMEMBERS', NS .. 'queues') or {}
local removed = 0
for _, worker in ipairs(gone) do
  local holds = false
  for _, queue in ipairs(queues) do
    local stream = NS .. 'ready:' .. queue
    local entries = redis.pcall('XPENDING', stream, GROUP, '-', '+', 1, worker)
    if not entries.err and #entries > 0 then
      holds = true -- redeliver comes first
    elseif not entries.err then
      redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, worker)
    end
  end
  if not holds then
    redis.call('ZREM', NS .. 'workers', worker)
    redis.call('DEL', NS .. 'worker:' .. worker)
    removed = removed + 1
  end
end
return removed
