-- The records of jobs: spec and status of each, at one moment (C5).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then the ids
-- Returns for each id {spec or '', flat list of the status}
-- Cost  O(ids). Caller: Scheduler.get, Scheduler.list.
-- flags: allow-oom
-- include: base

local reply = {}
for i = 2, #ARGV do
  reply[i - 1] = {
    redis.call('GET', NS .. 'job:' .. ARGV[i]) or '',
    redis.call('HGETALL', NS .. 'status:' .. ARGV[i]),
  }
end
return reply
