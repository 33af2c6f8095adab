-- The version of anything a mutation can read, '' where it is absent (C6.2). Kinds: 'doc', 'job' (its state, or 'sealed'
-- where no cancel comes in time any more), 'key' (the job that an idempotency key stands for).
local function version_of(kind, key)
  if kind == 'doc' then
    return redis.call('HGET', NS .. 'doc:' .. key, 'version') or ''
  elseif kind == 'job' then
    local status = read_status(key, 'state', 'sealed') or {}
    return status[1] or (status[2] and 'sealed') or (redis.call('EXISTS', NS .. 'job:' .. key) == 1 and 'pending' or '')
  end
  return read_key(key) or ''
end

-- A scan walks part of a table or of an index. ARGV of one, SCAN_ARGS of them: key after the prefix, 'BYSCORE' | 'BYLEX',
-- lower and upper bound as ZRANGE takes them, 'asc' | 'desc', most documents.
local SCAN_ARGS = 6

-- The ids of the documents that a scan finds, in its order; nil where it walks an index that was dropped or is being built.
local function scan_ids(at)
  local index = ARGV[at]:match('^index:(.*)')
  if index and redis.call('HGET', NS .. 'indexes', index) ~= 'ready' then
    return nil
  end
  local key, by, lower, upper, most = NS .. ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 5]
  local found
  if ARGV[at + 4] == 'desc' then
    found = redis.call('ZRANGE', key, upper, lower, by, 'REV', 'LIMIT', 0, most)
  else
    found = redis.call('ZRANGE', key, lower, upper, by, 'LIMIT', 0, most)
  end
  if by == 'BYLEX' then
    for i, entry in ipairs(found) do
      found[i] = id_of_entry(entry)
    end
  end
  return found
end

-- Whether all of these (places in ARGV) are still what they were: `reads` hold kind, key, version; `scans` hold SCAN_ARGS
-- and the version, which of a scan is what it found. That each document it found is unchanged, is among the reads.
local function still_holds(reads, scans)
  for _, at in ipairs(reads) do
    if version_of(ARGV[at], ARGV[at + 1]) ~= ARGV[at + 2] then
      return false
    end
  end
  for _, at in ipairs(scans) do
    local ids = scan_ids(at)
    if not ids or table.concat(ids, ' ') ~= ARGV[at + SCAN_ARGS] then
      return false
    end
  end
  return true
end
