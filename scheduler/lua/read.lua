-- What mutations read: the sequence of the last commit, and all that was asked for with versions and data, at one moment (C6.2).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then the number of things and for each: kind, key (see versions.lua);
--       then the number of scans and for each: SCAN_ARGS
-- Returns {sequence, then for each thing: {version, number of creation, data} (the last two '' but for documents),
--         then for each scan: {word, then for each document: {id, version, number, data}}}; the word is OK, CUT if it stopped
--         for its size, STALE if it walks an index that was dropped or is being built
-- Cost  O(things + documents found). A scan stops at 1 MiB. Caller: Transaction.
-- flags: allow-oom
-- include: base
-- include: arguments
-- include: entry
-- include: job
-- include: versions

local SCAN_BYTES = 1024 * 1024

local function read_document(id)
  local found = redis.call('HMGET', NS .. 'doc:' .. id, 'version', 'created', 'data')
  return found[1] or '', found[2] or '', found[3] or ''
end

local function read_thing(at)
  if ARGV[at] == 'doc' then
    return { read_document(ARGV[at + 1]) }
  end
  return { version_of(ARGV[at], ARGV[at + 1]), '', '' }
end

local function read_scan(at)
  local rows, bytes = { 'OK' }, 0
  local ids = scan_ids(at)
  if not ids then
    return { 'STALE' }
  end
  for i, id in ipairs(ids) do
    local version, created, data = read_document(id)
    rows[i + 1] = { id, version, created, data }
    bytes = bytes + #data
    if bytes >= SCAN_BYTES and i < #ids then
      rows[1] = 'CUT'
      break
    end
  end
  return rows
end

local reply = { redis.call('GET', NS .. 'sequence') or '0' }
for _, at in ipairs(take_list(2)) do
  reply[#reply + 1] = read_thing(at)
end
for _, at in ipairs(take_list(SCAN_ARGS)) do
  reply[#reply + 1] = read_scan(at)
end
return reply
