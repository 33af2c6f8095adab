-- Makes indexes known to all who write, and tells the catalog of all there are (C6.1).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then indexes, each '<table>:<field>,<field>...'
-- Returns {version of the catalog, then pairs: index, 'ready' or the number of creation up to which it has been built}
-- Again: the same. An index of an empty table is ready at once; another is built by the Indexer while all writers keep it up.
-- Cost  O(indexes). Caller: Presence, Transaction.
-- flags: allow-oom
-- include: base

local fresh = {}
for i = 2, #ARGV do
  if redis.call('HEXISTS', NS .. 'indexes', ARGV[i]) == 0 then
    local documents = redis.call('ZCARD', NS .. 'table:' .. ARGV[i]:match('^[^:]*'))
    fresh[#fresh + 1] = { ARGV[i], documents == 0 and 'ready' or '0' }
  end
end
for _, one in ipairs(fresh) do
  if redis.call('HSETNX', NS .. 'indexes', one[1], one[2]) == 1 then
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
