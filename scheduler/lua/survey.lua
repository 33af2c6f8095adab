-- Types and lives of keys.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then keys after the prefix
-- Returns for each {type, life in ms, -1 for one that has no end}
-- Again: the same.
-- Cost  O(keys). Caller: `duestream doctor`.
-- flags: allow-oom
-- include: base

local reply = {}
for i = 2, #ARGV do
  reply[i - 1] = { redis.call('TYPE', NS .. ARGV[i]).ok, redis.call('PTTL', NS .. ARGV[i]) }
end
return reply
