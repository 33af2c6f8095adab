-- Makes indexes known to all who write, and tells the catalog of all there are (C6.1).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, then indexes, each '<table>:<field>,<field>...'
-- Returns {version of the catalog, then pairs: index, 'ready' or the number of creation up to which it has been built}
-- Again: the same. An index of an empty table is ready at once; another is built by the Indexer while all writers keep it up.
-- Cost  O(indexes). Caller: Presence, Transaction.
-- flags: allow-oom
-- include: base

local nonce, fresh = ARGV[2], {}
local version = nonce .. ':' .. read_moment()
for i = 3, #ARGV do
  if redis.call('HEXISTS', NS .. 'indexes', ARGV[i]) == 0 then
    local documents = redis.call('ZCARD', NS .. 'table:' .. ARGV[i]:match('^[^:]*'))
    fresh[#fresh + 1] = { ARGV[i], documents == 0 and 'ready' or '0' }
  end
end
for _, one in ipairs(fresh) do
  redis.call('HSETNX', NS .. 'indexes', one[1], one[2])
end
if #fresh > 0 then
  -- Who writes by another catalog is refused: it would leave entries out. The version never comes twice, so that a Redis
  -- which has lost one index and been told of another is not taken for what it was.
  redis.call('HSET', NS .. 'indexes', 'version', version)
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
