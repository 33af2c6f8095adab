-- What mutations read: the sequence of the last commit, and for each thing its version and data, at one moment (C6.2).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then pairs: kind, key (see versions.lua)
-- Returns {sequence, then for each: version, data (a document's msgpack, else '')}
-- Cost  O(pairs). Caller: Transaction.
-- flags: allow-oom
-- include: base
-- include: versions

local reply = { redis.call('GET', NS .. 'sequence') or '0' }
for i = 2, #ARGV, 2 do
  reply[#reply + 1] = version_of(ARGV[i], ARGV[i + 1])
  reply[#reply + 1] = ARGV[i] == 'doc' and redis.call('HGET', NS .. 'doc:' .. ARGV[i + 1], 'data') or ''
end
return reply
