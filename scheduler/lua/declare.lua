-- Makes indexes known to all who write, and tells the catalog of all there are (C6.1).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then indexes, each '<table>:<field>,<field>...'
-- Returns {version of the catalog, then pairs: index, 'ready' or the number of creation up to which it has been built}
-- Again: the same. An index of an empty table is ready at once; another is built by the Indexer while all writers keep it up.
-- Cost  O(indexes). Caller: Presence, Transaction.
-- flags: allow-oom
-- include: base

for i = 2, #ARGV do
  local index = ARGV[i]
  if redis.call('HEXISTS', NS .. 'indexes', index) == 0 then
    local empty = redis.call('ZCARD', NS .. 'table:' .. index:match('^[^:]*')) == 0
    redis.call('HSET', NS .. 'indexes', index, empty and 'ready' or '0')
    -- Who writes by an older catalog is refused: it would leave entries out.
    redis.call('HINCRBY', NS .. 'indexes', 'version', 1)
  end
end
local reply = { redis.call('HGET', NS .. 'indexes', 'version') or '0' }
local known = redis.call('HGETALL', NS .. 'indexes')
for i = 1, #known, 2 do
  if known[i] ~= 'version' then
    reply[#reply + 1] = known[i]
    reply[#reply + 1] = known[i + 1]
  end
end
return reply
