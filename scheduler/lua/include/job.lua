-- A job's own keys, read so that one of the wrong type costs this job and no other of the same call. Any other error goes on
-- to the caller: the same command again raises it.

-- The fields of a status as HMGET gives them; nil where its key is of another type.
local function read_status(id, ...)
  local found = redis.pcall('HMGET', NS .. 'status:' .. id, ...)
  if not found.err then
    return found
  end
  return is_of('status:' .. id, 'hash') and redis.call('HMGET', NS .. 'status:' .. id, ...) or nil
end

-- The beginning of a spec, `last` + 1 bytes at most; '' where there is none, nil where its key is of another type.
local function read_beginning(id, last)
  local found = redis.pcall('GETRANGE', NS .. 'job:' .. id, 0, last)
  if type(found) == 'string' then
    return found
  end
  return is_of('job:' .. id, 'string') and redis.call('GETRANGE', NS .. 'job:' .. id, 0, last) or nil
end

-- The job that an idempotency key stands for; false for none, and where the key is of another type.
local function read_key(key)
  local found = redis.pcall('GET', NS .. 'key:' .. key)
  if type(found) ~= 'table' then
    return found
  end
  return is_of('key:' .. key, 'string') and redis.call('GET', NS .. 'key:' .. key)
end
