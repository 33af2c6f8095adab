-- A worker arrives: its presence, the functions and settings of its deployment, and the groups of its queues.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 worker's name, 3 life of the heartbeat in ms, 4 n fields of the worker, then n pairs;
--       5 m settings, then m pairs ('' takes one back); then the number of functions, then pairs (name, description as JSON); then the queues
-- Returns now in ms.
-- Again: the same. Also called by a worker about once a minute, which keeps its functions known.
-- Cost  O(functions). Caller: Presence.
-- flags: allow-oom
-- include: base

local now = read_clock()
local worker, beat_ms = ARGV[2], ARGV[3]
local at = 4

local function take_pairs()
  local count = tonumber(ARGV[at])
  local list = {}
  for i = 1, count * 2 do
    list[i] = ARGV[at + i]
  end
  at = at + 1 + count * 2
  return list
end

local fields, settings, functions = take_pairs(), take_pairs(), take_pairs()
redis.call('ZADD', NS .. 'workers', int(now), worker)
redis.call('HSET', NS .. 'worker:' .. worker, 'seen', int(now), unpack(fields))
redis.call('PEXPIRE', NS .. 'worker:' .. worker, beat_ms)
for i = 1, #settings, 2 do
  if settings[i + 1] == '' then
    redis.call('HDEL', NS .. 'settings', settings[i])
  else
    redis.call('HSET', NS .. 'settings', settings[i], settings[i + 1])
  end
end
for i = 1, #functions, 2 do
  redis.call('HSET', NS .. 'functions', functions[i], functions[i + 1])
  redis.call('ZADD', NS .. 'functions:seen', int(now), functions[i])
end
while ARGV[at] do
  local queue = ARGV[at]
  redis.call('SADD', NS .. 'queues', queue)
  -- From 0: what was ready before the first worker came is theirs too. BUSYGROUP means that the group is there.
  local made = redis.pcall('XGROUP', 'CREATE', NS .. 'ready:' .. queue, GROUP, '0', 'MKSTREAM')
  -- tostring: fakeredis hands out a Python string here.
  if made.err and not tostring(made.err):find('BUSYGROUP') then
    return redis.error_reply(tostring(made.err))
  end
  at = at + 1
end
return int(now)
