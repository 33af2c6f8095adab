-- Drops an index that no deployment declares any more, with all its entries.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 index
-- Returns 1 if it was there, else 0. Again: 0.
-- Cost  O(1), the entries are freed in the background. Caller: `duestream db drop-index`.
-- flags: allow-oom
-- include: base

local nonce, index = ARGV[2], ARGV[3]
local version = nonce .. ':' .. read_moment()
if redis.call('HEXISTS', NS .. 'indexes', index) == 0 or index == 'version' then
  return 0
end
redis.call('UNLINK', NS .. 'index:' .. index)
redis.call('HDEL', NS .. 'indexes', index)
redis.call('HSET', NS .. 'indexes', 'version', version)
return 1
