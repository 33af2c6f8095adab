-- The due set: jobs by due time, and their way into the ready stream.
local queues = {}

-- What a call needs to know of a queue, read once and before the first write; a key of the wrong type fails here.
local function look_at_queue(queue)
  if not queues[queue] then
    local head = redis.call('ZRANGE', NS .. 'due:' .. queue, 0, 0, 'WITHSCORES')
    redis.call('XLEN', NS .. 'ready:' .. queue)
    queues[queue] = {
      head = tonumber(head[2]),
      known = redis.call('SISMEMBER', NS .. 'queues', queue) == 1,
      straight = 0,
      immediate = 0,
      earliest = nil,
    }
  end
  return queues[queue]
end

-- Whether both keys of a queue have their types.
local function is_sound(queue)
  return is_of('due:' .. queue, 'zset') and is_of('ready:' .. queue, 'stream')
end

local function check_wake()
  redis.call('LLEN', NS .. 'wake')
end

local function make_known(queue, seen)
  if not seen.known then
    redis.call('SADD', NS .. 'queues', queue)
    seen.known = true
  end
end

-- A new job that is due now goes straight to its stream, where no other waits in the due set to go before it (C3.7).
-- Returns false where it has to wait its turn there.
local STRAIGHT_LIMIT = 500
local delivered = 0

local function make_ready(queue, id, spec, now, nonce)
  local seen = look_at_queue(queue)
  if (seen.head and seen.head <= now) or seen.straight == STRAIGHT_LIMIT then
    return false
  end
  make_known(queue, seen)
  seen.straight, delivered = seen.straight + 1, delivered + 1
  deliver(queue, id, 1, nonce .. ':' .. delivered, spec)
  return true
end

local function add_due(queue, id, due, now)
  local seen = look_at_queue(queue)
  make_known(queue, seen)
  add_score('due:' .. queue, int(due), id)
  if due <= now then
    seen.immediate = seen.immediate + 1
  elseif not seen.earliest or due < seen.earliest then
    seen.earliest = due
  end
end

-- Moves the earliest due jobs of a queue to its ready stream, in order (C3.7); at most `limit` (below unpack's bound).
-- Returns how many left the set. A member without a spec or already finished is dropped. Nothing here can fail: what
-- became due goes on after the writes of a call, and with it go others that nobody has looked at.
local function promote_queue(queue, limit, now, nonce)
  local due = NS .. 'due:' .. queue
  local ids = redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, limit)
  if #ids == 0 then
    return 0
  end
  local heads, status = {}, {}
  for i, id in ipairs(ids) do
    heads[i] = read_head(id)
    status[i] = read_status(id, 'state', 'attempts')
  end
  redis.call('ZREM', due, unpack(ids))
  for i, id in ipairs(ids) do
    local found = status[i] or mend_status(id)
    if heads[i] ~= '' and not found[1] then
      deliver(queue, id, (tonumber(found[2] or '') or 0) + 1, nonce .. ':' .. queue .. ':' .. i, heads[i])
    end
  end
  return #ids
end

-- After the writes: what is due goes on at once (C2.2), and a job that became the earliest wakes the promoter.
-- Never more than a hundred a queue and call, none if five hundred went straight; the promoter goes on with the rest.
local PROMOTE_LIMIT = 100

local function settle_queues(now, nonce)
  local wake = false
  for queue, seen in pairs(queues) do
    if seen.immediate > 0 and seen.straight > 0 then
      wake = true
    elseif seen.immediate > 0 then
      promote_queue(queue, math.min(seen.immediate, PROMOTE_LIMIT), now, nonce)
      wake = wake or seen.immediate > PROMOTE_LIMIT
    end
    wake = wake or (seen.earliest and (not seen.head or seen.earliest < seen.head))
  end
  if wake and redis.call('LLEN', NS .. 'wake') == 0 then
    redis.call('RPUSH', NS .. 'wake', '1')
  end
end
