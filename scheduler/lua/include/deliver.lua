-- A delivery is one entry in a ready stream with a token that never comes twice; the status names the one that counts.
-- Specs above this size stay in their key, and the worker fetches them.
local INLINE_BYTES = 4096

-- `head` is the beginning of the spec, INLINE_BYTES + 1 bytes at most.
local function deliver(queue, id, attempt, token, head)
  local stream = NS .. 'ready:' .. queue
  local entry
  if #head <= INLINE_BYTES then
    entry = redis.call('XADD', stream, '*', 'job', id, 'token', token, 'attempt', int(attempt), 'spec', head)
  else
    entry = redis.call('XADD', stream, '*', 'job', id, 'token', token, 'attempt', int(attempt))
  end
  redis.call('HSET', NS .. 'status:' .. id, 'token', token, 'entry', entry)
end

local function read_head(id)
  return redis.call('GETRANGE', NS .. 'job:' .. id, 0, INLINE_BYTES)
end

local function drop_entry(queue, entry)
  local stream = NS .. 'ready:' .. queue
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
end
