-- What the jobs of one call write to keys that they share, gathered and written together: for two hundred jobs one command
-- costs what three do. Whoever includes this calls write_gathered() before it returns or raises.
local CHUNK = 1000 -- arguments, below unpack's limit
local dropped, strings, scores, removed, increments = {}, {}, {}, {}, {}

local function drop_entry(queue, entry)
  local entries = dropped[queue] or {}
  dropped[queue] = entries
  entries[#entries + 1] = entry
end

-- SET.
local function set_string(key, value)
  strings[#strings + 1] = NS .. key
  strings[#strings + 1] = value
end

-- ZADD; `score` is printed already.
local function add_score(set, score, member)
  local flat = scores[set] or {}
  scores[set] = flat
  flat[#flat + 1] = score
  flat[#flat + 1] = member
end

-- ZREM.
local function remove_member(set, member)
  local members = removed[set] or {}
  removed[set] = members
  members[#members + 1] = member
end

-- HINCRBY.
local function add_count(hash, field, by)
  local fields = increments[hash] or {}
  increments[hash] = fields
  fields[field] = (fields[field] or 0) + by
end

local function write_gathered()
  for queue, entries in pairs(dropped) do
    for first = 1, #entries, CHUNK do
      local last = math.min(first + CHUNK - 1, #entries)
      redis.call('XACK', NS .. 'ready:' .. queue, GROUP, unpack(entries, first, last))
      redis.call('XDEL', NS .. 'ready:' .. queue, unpack(entries, first, last))
    end
  end
  for first = 1, #strings, CHUNK do
    redis.call('MSET', unpack(strings, first, math.min(first + CHUNK - 1, #strings)))
  end
  for set, flat in pairs(scores) do
    for first = 1, #flat, CHUNK do
      redis.call('ZADD', NS .. set, unpack(flat, first, math.min(first + CHUNK - 1, #flat)))
    end
  end
  for set, members in pairs(removed) do
    for first = 1, #members, CHUNK do
      redis.call('ZREM', NS .. set, unpack(members, first, math.min(first + CHUNK - 1, #members)))
    end
  end
  for hash, fields in pairs(increments) do
    for field, by in pairs(fields) do
      redis.call('HINCRBY', NS .. hash, field, int(by))
    end
  end
  dropped, strings, scores, removed, increments = {}, {}, {}, {}, {}
end
