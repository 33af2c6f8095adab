-- Removes records past their retention, and the oldest past the app's most, with all that is left of them (C5.3).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 most records to remove
-- Returns {removed, 1 if there may be more else 0}
-- Again: the next ones.
-- Cost  O(removed log done). Caller: Janitor.
-- flags: allow-oom
-- include: base
-- include: spec

local STATES = { 'success', 'failed', 'canceled' }
local DEFAULT_KEEP_COUNT = 100000

local now = read_clock()
local limit = tonumber(ARGV[2])
local gone = redis.call('ZRANGEBYSCORE', NS .. 'expiry', '-inf', int(now), 'LIMIT', 0, limit)

-- Past the most: the earliest ends of the three listings, one at a time.
local kept = -#gone
local heads = {}
for _, state in ipairs(STATES) do
  kept = kept + redis.call('ZCARD', NS .. 'done:' .. state)
  heads[state] = redis.call('ZRANGE', NS .. 'done:' .. state, 0, limit - 1, 'WITHSCORES')
end
local most = tonumber(redis.call('HGET', NS .. 'settings', 'keep_count') or DEFAULT_KEEP_COUNT)
local chosen = {}
for _, id in ipairs(gone) do
  chosen[id] = true
end
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

local keys = {}
for i, id in ipairs(gone) do
  local _, _, key = read_spec(redis.call('GETRANGE', NS .. 'job:' .. id, 0, SPEC_HEADER_BYTES))
  keys[i] = key and key ~= '' and redis.call('GET', NS .. 'key:' .. key) == id and key
end

for i, id in ipairs(gone) do
  redis.call('DEL', NS .. 'job:' .. id, NS .. 'status:' .. id)
  redis.call('ZREM', NS .. 'expiry', id)
  for _, state in ipairs(STATES) do
    redis.call('ZREM', NS .. 'done:' .. state, id)
  end
  if keys[i] then
    redis.call('DEL', NS .. 'key:' .. keys[i])
  end
end
return { #gone, #gone == limit and 1 or 0 }
