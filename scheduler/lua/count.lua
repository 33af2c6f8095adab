-- How many jobs are in each state, at one moment: jobs move between the keys, and none may be missed (C5.4).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or ''
-- Returns {pending, inProgress, success, failed, canceled}
-- Again: the same.
-- Cost  O(queues). Caller: Scheduler.count.
-- flags: allow-oom
-- include: base

local pending = 0
for _, queue in ipairs(redis.call('SMEMBERS', NS .. 'queues')) do
  pending = pending + redis.call('ZCARD', NS .. 'due:' .. queue) + redis.call('XLEN', NS .. 'ready:' .. queue)
end
return {
  pending,
  redis.call('ZCARD', NS .. 'running'),
  redis.call('ZCARD', NS .. 'done:success'),
  redis.call('ZCARD', NS .. 'done:failed'),
  redis.call('ZCARD', NS .. 'done:canceled'),
}
