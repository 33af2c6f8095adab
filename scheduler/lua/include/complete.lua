-- Final states are written here and nowhere else: record, listing, retention, counters, waiters (C5.1, C5.3).
local DEFAULT_KEEP_MS = 7 * 24 * 3600 * 1000
local TOMBSTONE_MS = 600 * 1000

local kept, kept_apart = {}, {}

-- How long a function's records are kept: what the newest deployment wrote for it, else for the app, else a week.
local function keep_ms(name)
  if not kept[name] then
    local found = redis.call('HMGET', NS .. 'settings', 'keep_ms:' .. name, 'keep_ms')
    kept[name] = whole(found[1]) or whole(found[2]) or DEFAULT_KEEP_MS
    kept_apart[name] = whole(found[1]) ~= nil
  end
  return kept[name]
end

-- A record is found by its completion when the app's time for it is over (see prune.lua). Only what has another time is listed
-- by that, too: a second listing of all costs more memory than a status.
local function list_ended(id, state, completed, name)
  local keep = keep_ms(name)
  add_score('done:' .. state, int(completed), id)
  if kept_apart[name] then
    add_score('expiry', int(completed + keep), id)
  end
end

-- The types of all that complete() writes besides the job's own keys; called before the first write.
local function check_complete(name)
  if kept[name] then
    return
  end
  keep_ms(name)
  for _, state in ipairs({ 'success', 'failed', 'canceled' }) do
    redis.call('ZCARD', NS .. 'done:' .. state)
  end
  redis.call('ZCARD', NS .. 'expiry')
  look_at_stats(name)
end

-- `key` is the job's idempotency key or ''; `waiters` what the status holds (false: none); `fields` is HSET's list; `value`,
-- if there is one, the result of a success or the error of a failure.
local function complete(id, state, now, name, key, waiters, fields, value)
  local status = NS .. 'status:' .. id
  local keep = keep_ms(name) > 0
  if keep and value then
    fields[#fields + 1] = state == 'success' and 'result' or 'error'
    fields[#fields + 1] = value
  end
  redis.call('HSET', status, 'state', state, 'completed', int(now), unpack(fields))
  if keep then
    list_ended(id, state, now, name)
  else
    delete_key('job:' .. id)
    if key ~= '' then
      delete_key('key:' .. key)
    end
    redis.call('PEXPIRE', status, TOMBSTONE_MS)
  end
  count(name, state, 1)
  if waiters then
    redis.call('HDEL', status, 'waiters')
    for mailbox in waiters:gmatch('[^ ]+') do
      post(mailbox, id)
    end
  end
end
