-- Cancelling one job (C4): look first, write later. `cancel` and `commit` share it.

-- Returns the outcome as a word, and what withdraw() needs.
local function look_at_job(id)
  local status = redis.call('HMGET', NS .. 'status:' .. id, 'state', 'entry', 'waiters', 'sealed')
  local head = redis.call('GETRANGE', NS .. 'job:' .. id, 0, SPEC_HEADER_BYTES)
  local job = { id = id, entry = status[2], waiters = status[3] }
  -- Sealed: its SQL may have committed already, so it is too late (C4: committed first, cancel changes nothing).
  if status[1] == 'success' or status[1] == 'failed' or status[1] == 'canceled' or (not status[1] and status[4]) then
    return 'FINISHED', job
  end
  job.queue, job.name, job.key = read_spec(head)
  if not job.queue then
    return 'UNKNOWN', job
  end
  look_at_queue(job.queue)
  check_complete(job.name, job.waiters)
  redis.call('ZCARD', NS .. 'running')
  if status[1] == 'inProgress' then
    return 'RUNNING', job
  end
  return 'CANCELED', job
end

-- The token goes, so whoever holds the delivery has lost it (the fence).
local function withdraw(outcome, job, now)
  if outcome == 'FINISHED' or outcome == 'UNKNOWN' then
    return
  end
  if outcome == 'RUNNING' then
    redis.call('ZREM', NS .. 'running', job.id)
  else
    redis.call('ZREM', NS .. 'due:' .. job.queue, job.id)
    if job.entry then
      drop_entry(job.queue, job.entry)
    end
  end
  redis.call('HDEL', NS .. 'status:' .. job.id, 'token', 'entry')
  complete(job.id, 'canceled', now, job.name, job.key, job.waiters, {})
end
