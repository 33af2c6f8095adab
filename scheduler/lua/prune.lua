-- Removes records past their retention, and the oldest past the app's most, with all that is left of them (C5.3); of a job
-- that ended less than ten minutes ago a tombstone stays, so that a late repeated call still finds it finished (C2.10).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 most records to remove, 3 completion time in ms up to which those of the app's own retention have
--       gone ('': from the first), so that what functions keep for longer is not looked at each time
-- Returns {removed, 1 if there may be more else 0, the time for ARGV 3 of the next call}
-- Again: the next ones.
-- Cost  O((removed + looked at) log done), a thousand of each state at most. Caller: Janitor.
-- flags: allow-oom
-- include: base
-- include: job
-- include: spec

local STATES = { 'success', 'failed', 'canceled' }
local DEFAULT_KEEP_COUNT = 100000
local DEFAULT_KEEP_MS = 7 * 24 * 3600 * 1000
local LOOK = 1000
local TOMBSTONE_MS = 600 * 1000

local now = read_clock()
local limit = tonumber(ARGV[2])
local after = ARGV[3] == '' and '-inf' or '(' .. ARGV[3]
local till = now - (whole(redis.call('HGET', NS .. 'settings', 'keep_ms')) or DEFAULT_KEEP_MS)
local gone = redis.call('ZRANGEBYSCORE', NS .. 'expiry', '-inf', int(now), 'LIMIT', 0, limit)
local chosen = {}
for _, id in ipairs(gone) do
  chosen[id] = true
end

-- Those of the app's own retention, in order of completion. Returns the time up to which they are all chosen; more than a
-- thousand of one ms that are all kept apart are passed over.
local function choose_by_age(state)
  local found = redis.call('ZRANGEBYSCORE', NS .. 'done:' .. state, after, int(till), 'WITHSCORES', 'LIMIT', 0, LOOK)
  for i = 1, #found, 2 do
    local id = found[i]
    if not chosen[id] and not redis.call('ZSCORE', NS .. 'expiry', id) then
      if #gone >= limit then
        return tonumber(found[i + 1]) - 1
      end
      chosen[id] = true
      gone[#gone + 1] = id
    end
  end
  return #found < 2 * LOOK and till or math.max(tonumber(found[#found]) - 1, tonumber(found[2]))
end

local passed = till
for _, state in ipairs(STATES) do
  passed = math.min(passed, choose_by_age(state))
end

-- Past the most: the earliest ends of the three listings, one at a time.
local kept = -#gone
local heads = {}
for _, state in ipairs(STATES) do
  kept = kept + redis.call('ZCARD', NS .. 'done:' .. state)
  heads[state] = redis.call('ZRANGE', NS .. 'done:' .. state, 0, limit - 1, 'WITHSCORES')
end
local most = whole(redis.call('HGET', NS .. 'settings', 'keep_count')) or DEFAULT_KEEP_COUNT
local at = { success = 1, failed = 1, canceled = 1 }
while kept > most and #gone < limit do
  local oldest = nil
  for _, state in ipairs(STATES) do
    while chosen[heads[state][at[state]]] do
      at[state] = at[state] + 2
    end
    local score = tonumber(heads[state][at[state] + 1])
    if score and (not oldest or score < tonumber(heads[oldest][at[oldest] + 1])) then
      oldest = state
    end
  end
  if not oldest then
    break
  end
  local id = heads[oldest][at[oldest]]
  chosen[id] = true
  gone[#gone + 1] = id
  kept = kept - 1
end

-- What is known of a job before it goes: its idempotency key, if that is still its own, its state, and the rest of the ten
-- minutes in ms.
local function look_at_ended(id)
  local _, _, key = read_spec(read_beginning(id, SPEC_HEADER_BYTES) or '')
  local one = { key = key and key ~= '' and read_key(key) == id and key, left = 0 }
  for _, state in ipairs(STATES) do
    local completed = tonumber(redis.call('ZSCORE', NS .. 'done:' .. state, id) or '')
    if completed then
      one.state, one.left = state, math.min(TOMBSTONE_MS, completed + TOMBSTONE_MS - now)
    end
  end
  return one
end

local ended = {}
for i, id in ipairs(gone) do
  ended[i] = look_at_ended(id)
end

for i, id in ipairs(gone) do
  local one = ended[i]
  redis.call('DEL', NS .. 'job:' .. id, NS .. 'status:' .. id)
  if one.left > 0 then
    redis.call('HSET', NS .. 'status:' .. id, 'state', one.state)
    redis.call('PEXPIRE', NS .. 'status:' .. id, int(one.left))
  end
  redis.call('ZREM', NS .. 'expiry', id)
  for _, state in ipairs(STATES) do
    redis.call('ZREM', NS .. 'done:' .. state, id)
  end
  if one.key then
    redis.call('DEL', NS .. 'key:' .. one.key)
  end
end
return { #gone, (#gone == limit or passed < till) and 1 or 0, int(passed) }
