-- Counters of functions. Damaged ones count no more: no job may wait for its end because of them. Nor does what has no name, for
-- its spec cannot be read.
local counts = {}

-- To be called before the first write: what comes after it cannot fail.
local function look_at_stats(name)
  if counts[name] ~= nil then
    return
  end
  counts[name] = name ~= '' and is_of('stats:' .. name, 'hash')
  local found = counts[name] and redis.call('HMGET', NS .. 'stats:' .. name, 'success', 'failed', 'canceled', 'conflicts')
  for _, value in ipairs(found or {}) do
    counts[name] = counts[name] and (not value or (#value < 16 and value:match('^%d+$') ~= nil))
  end
end

local function count(name, field, by)
  if counts[name] then
    add_count('stats:' .. name, field, by)
  end
end
