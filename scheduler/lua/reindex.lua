-- Builds a part of an index: entries of documents that were there before it was declared (C6.1).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 index, 3 the number of creation up to which it had been built, 4 the new one or 'ready',
--       5 the version of the catalog by which the part was read, 6 n, then n times: document id, the version read, sort key of the values
-- Returns OK; LOST, another has built this part, or an index came or went: this one may have gone and come back, and what was
--         written in between has no entry.
-- Again: LOST, nothing changes.
-- Cost  O(n log entries). Caller: Indexer.
-- Memory: refused when the server is full
-- include: base
-- include: arguments
-- include: entry

local index, before, after, catalog = take(), take(), take(), take()
local known = redis.call('HMGET', NS .. 'indexes', index, 'version')
if known[1] ~= before or known[2] ~= catalog then
  return 'LOST'
end
redis.call('ZCARD', NS .. 'index:' .. index)
-- A document that was written since has its entry from the writer, by the same number.
local entries = {}
for _, at in ipairs(take_list(3)) do
  local id = ARGV[at]
  local found = redis.call('HMGET', NS .. 'doc:' .. id, 'version', 'created')
  if found[1] == ARGV[at + 1] then
    assert(tonumber(found[2]), id .. ' is damaged: it has no number of creation')
    entries[#entries + 1] = make_entry(ARGV[at + 2], found[2], id)
  end
end
redis.call('HSET', NS .. 'indexes', index, after)
for _, entry in ipairs(entries) do
  redis.call('ZADD', NS .. 'index:' .. index, 0, entry)
end
return 'OK'
