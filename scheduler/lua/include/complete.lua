-- Final states are written here and nowhere else: record, listing, retention, counters, waiters (C5.1, C5.3).
local DEFAULT_KEEP_MS = 7 * 24 * 3600 * 1000
local TOMBSTONE_MS = 600 * 1000
local MAILBOX_MS = 60 * 1000

local kept, kept_apart = {}, {}

-- How long a function's records are kept: what the newest deployment wrote for it, else for the app, else a week.
local function keep_ms(name)
  if not kept[name] then
    local found = redis.call('HMGET', NS .. 'settings', 'keep_ms:' .. name, 'keep_ms')
    kept[name] = tonumber(found[1] or '') or tonumber(found[2] or '') or DEFAULT_KEEP_MS
    kept_apart[name] = tonumber(found[1] or '') ~= nil
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

-- A mailbox of the wrong type gets nothing: no job may wait for its end because of it.
local function post(mailbox, id)
  if is_of('mail:' .. mailbox, 'list') then
    redis.call('RPUSH', NS .. 'mail:' .. mailbox, id)
    redis.call('PEXPIRE', NS .. 'mail:' .. mailbox, MAILBOX_MS)
  end
end

-- `key` is the job's idempotency key or ''; `waiters` what the status holds (false: none); `fields` is HSET's list.
local function complete(id, state, now, name, key, waiters, fields)
  local status = NS .. 'status:' .. id
  redis.call('HSET', status, 'state', state, 'completed', int(now), unpack(fields))
  if keep_ms(name) > 0 then
    list_ended(id, state, now, name)
  else
    redis.call('DEL', NS .. 'job:' .. id)
    if key ~= '' then
      redis.call('DEL', NS .. 'key:' .. key)
    end
    redis.call('HDEL', status, 'result', 'error')
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
