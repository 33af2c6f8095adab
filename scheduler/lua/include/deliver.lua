-- A delivery is one entry in a ready stream with a token that never comes twice; the status names the one that counts.
-- Specs above this size stay in their key, and the worker fetches them.
local INLINE_BYTES = 4096

-- When this run of the script delivers, in microseconds: the caller's nonce alone comes twice when a call is sent again.
local time = redis.call('TIME')
local moment = string.format('%x', tonumber(time[1]) * 1000000 + tonumber(time[2]))

-- `nonce` is the caller's, with the place in the call; `head` the beginning of the spec, INLINE_BYTES + 1 bytes at most;
-- `poison` nil, or the error that a sealed job past the cap of deaths is to fail with (see redeliver.lua).
local function deliver(queue, id, attempt, nonce, head, poison)
  local token = nonce .. ':' .. moment
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
