-- What the jobs of one call write to keys that they share, gathered and written together: for two hundred jobs one command
-- costs what three do. Whoever includes this calls write_gathered() before it returns or raises.
local CHUNK = 1000 -- arguments, below unpack's limit
local MAILBOX_MS = 60 * 1000
local dropped, strings, deleted, scores, removed, increments, mail = {}, {}, {}, {}, {}, {}, {}

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

-- DEL; what a call sets and deletes is gone in the end.
local function delete_key(key)
  deleted[#deleted + 1] = NS .. key
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

-- RPUSH: who waits for a job's end is told.
local function post(mailbox, id)
  local ids = mail[mailbox] or {}
  mail[mailbox] = ids
  ids[#ids + 1] = id
end

local function in_chunks(list, write)
  for first = 1, #list, CHUNK do
    write(unpack(list, first, math.min(first + CHUNK - 1, #list)))
  end
end

local function write_gathered()
  for queue, entries in pairs(dropped) do
    in_chunks(entries, function(...)
      redis.call('XACK', NS .. 'ready:' .. queue, GROUP, ...)
      redis.call('XDEL', NS .. 'ready:' .. queue, ...)
    end)
  end
  in_chunks(strings, function(...) redis.call('MSET', ...) end)
  in_chunks(deleted, function(...) redis.call('DEL', ...) end)
  for set, flat in pairs(scores) do
    in_chunks(flat, function(...) redis.call('ZADD', NS .. set, ...) end)
  end
  for set, members in pairs(removed) do
    in_chunks(members, function(...) redis.call('ZREM', NS .. set, ...) end)
  end
  for hash, fields in pairs(increments) do
    for field, by in pairs(fields) do
      redis.call('HINCRBY', NS .. hash, field, int(by))
    end
  end
  -- At last, for it has to look first: a mailbox of the wrong type gets nothing, no job may wait for its end because of it.
  for mailbox, ids in pairs(mail) do
    if is_of('mail:' .. mailbox, 'list') then
      in_chunks(ids, function(...) redis.call('RPUSH', NS .. 'mail:' .. mailbox, ...) end)
      redis.call('PEXPIRE', NS .. 'mail:' .. mailbox, MAILBOX_MS)
    end
  end
  dropped, strings, deleted, scores, removed, increments, mail = {}, {}, {}, {}, {}, {}, {}
end
