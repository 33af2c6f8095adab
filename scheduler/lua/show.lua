-- The records of jobs: spec and status of each, at one moment (C5).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then the ids
-- Returns for each id {spec or '', flat list of the status}; 0 for what is of the wrong type
-- Cost  O(ids). Caller: Scheduler.get, Scheduler.list.
-- flags: allow-oom
-- include: base

local reply = {}
for i = 2, #ARGV do
  local spec, status = redis.pcall('GET', NS .. 'job:' .. ARGV[i]), redis.pcall('HGETALL', NS .. 'status:' .. ARGV[i])
  if type(spec) == 'table' then
    spec = is_of('job:' .. ARGV[i], 'string') and redis.call('GET', NS .. 'job:' .. ARGV[i]) or 0
  end
  if status.err then
    status = is_of('status:' .. ARGV[i], 'hash') and redis.call('HGETALL', NS .. 'status:' .. ARGV[i]) or 0
  end
  reply[i - 1] = { spec or '', status }
end
return reply
