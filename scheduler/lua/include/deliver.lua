-- A delivery is one entry in a ready stream with a token that never comes twice; the status names the one that counts.
-- Specs above this size stay in their key, and the worker fetches them.
local INLINE_BYTES = 4096

-- `head` is the beginning of the spec, INLINE_BYTES + 1 bytes at most; `poison` nil, or the error that a sealed job past
-- the cap of deaths is to fail with (see redeliver.lua).
local function deliver(queue, id, attempt, token, head, poison)
  local entry = { 'XADD', NS .. 'ready:' .. queue, '*', 'job', id, 'token', token, 'attempt', int(attempt) }
  if #head <= INLINE_BYTES then
    entry[#entry + 1] = 'spec'
    entry[#entry + 1] = head
  end
  if poison then
    entry[#entry + 1] = 'poison'
    entry[#entry + 1] = poison
  end
  entry = redis.call(unpack(entry))
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
