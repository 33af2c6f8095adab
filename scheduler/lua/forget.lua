-- Drops an index that no deployment declares any more, with all its entries.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 index
-- Returns 1 if it was there, else 0. Again: 0.
-- Cost  O(1), the entries are freed in the background. Caller: `duestream db drop-index`.
-- flags: allow-oom
-- include: base

if redis.call('HEXISTS', NS .. 'indexes', ARGV[2]) == 0 or ARGV[2] == 'version' then
  return 0
end
redis.call('UNLINK', NS .. 'index:' .. ARGV[2])
redis.call('HDEL', NS .. 'indexes', ARGV[2])
redis.call('HINCRBY', NS .. 'indexes', 'version', 1)
return 1
