-- What has become of the jobs of functions: how many ended in each state, and how many conflicts their mutations met.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then names
-- Returns for each name a flat list: state or 'conflicts', number
-- Again: the same.
-- Cost  O(names). Caller: `duestream function list`.
-- flags: allow-oom
-- include: base

local reply = {}
for i = 2, #ARGV do
  reply[i - 1] = redis.call('HGETALL', NS .. 'stats:' .. ARGV[i])
end
return reply
