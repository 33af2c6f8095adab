-- Builds a part of an index: entries of documents that were there before it was declared (C6.1).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 index, 3 version of the catalog before the documents were read,
--       4 the number of creation up to which it had been built, 5 the new one or 'ready',
--       6 n, then n times: document id, the version read, sort key of the values
-- Returns OK; LOST, another has built this part, or the catalog has changed: the index may have been dropped and declared
--         anew, and what was written between has no entry of its writer.
-- Again: LOST, nothing changes.
-- Cost  O(n log entries). Caller: Indexer.
-- Memory: refused when the server is full
-- include: base
-- include: arguments
-- include: entry

local index, catalog, before, after = take(), take(), take(), take()
local state = redis.call('HMGET', NS .. 'indexes', index, 'version')
if state[1] ~= before or state[2] ~= catalog then
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
