-- The version of anything a mutation can read, '' where it is absent (C6.2). Kinds: 'doc', 'job' (its state, or 'sealed'
-- where no cancel comes in time any more), 'key' (the job that an idempotency key stands for).
local function version_of(kind, key)
  if kind == 'doc' then
    return redis.call('HGET', NS .. 'doc:' .. key, 'version') or ''
  elseif kind == 'job' then
    local status = redis.call('HMGET', NS .. 'status:' .. key, 'state', 'sealed')
    return status[1] or (status[2] and 'sealed') or (redis.call('EXISTS', NS .. 'job:' .. key) == 1 and 'pending' or '')
  end
  return redis.call('GET', NS .. 'key:' .. key) or ''
end
