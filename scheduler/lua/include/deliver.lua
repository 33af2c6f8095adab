-- A delivery is one entry in a ready stream with a token that never comes twice; the status names the one that counts.
-- Specs above this size stay in their key, and the worker fetches them.
local INLINE_BYTES = 4096

local moment = read_moment()

-- `nonce` is the caller's, with the place in the call; `head` the beginning of the spec, INLINE_BYTES + 1 bytes at most;
-- nil where its key is damaged: the worker fails it. `poison` nil, or the error that a sealed job past the cap of deaths is to fail with (see redeliver.lua).
local function deliver(queue, id, attempt, nonce, head, poison)
  local token = nonce .. ':' .. moment
  local entry = { 'XADD', NS .. 'ready:' .. queue, '*', 'job', id, 'token', token, 'attempt', int(attempt) }
  if head and #head <= INLINE_BYTES then
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
  return read_beginning(id, INLINE_BYTES)
end

-- A status of the wrong type, of a job that has neither begun nor ended, holds nothing that cannot be made anew: an
-- action that has begun is in no stream and in no due set. Returns what it says from now on: state, token.
local function mend_status(id, token)
  redis.call('DEL', NS .. 'status:' .. id)
  return { false, token }
end
