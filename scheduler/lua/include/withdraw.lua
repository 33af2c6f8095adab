-- Cancelling one job (C4): look first, write later. `cancel` and `commit` share it.

-- XACK refuses what is no id of an entry; a damaged one is not known, for nothing may fail after the first write.
local function read_id(text)
  local ms, number = (text or ''):match('^(%d+)%-(%d+)$')
  return ms and #ms < 20 and #number < 20 and text
end

-- Returns the outcome as a word, and what withdraw() needs.
local function look_at_job(id)
  local status = read_status(id, 'state', 'entry', 'waiters', 'sealed', 'withdrawn', 'started')
  if not status then
    return 'UNKNOWN', { id = id }
  end
  local job = { id = id, entry = read_id(status[2]), waiters = status[3], withdrawn = status[5], started = status[6] }
  -- Sealed: its SQL may have committed already, so it is too late (C4: committed first, cancel changes nothing).
  if status[1] == 'success' or status[1] == 'failed' or status[1] == 'canceled' or (not status[1] and status[4]) then
    return 'FINISHED', job
  end
  job.queue, job.name, job.key = read_spec(read_beginning(id, SPEC_HEADER_BYTES) or '')
  if not job.queue then
    return 'UNKNOWN', job
  end
  look_at_queue(job.queue)
  check_complete(job.name)
  redis.call('ZCARD', NS .. 'running')
  if status[1] == 'inProgress' then
    return 'RUNNING', job
  end
  return 'CANCELED', job
end

-- The token goes, so whoever holds the delivery has lost it (the fence). `fields` is what else the status is to hold.
local function withdraw(outcome, job, now, fields)
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
  complete(job.id, 'canceled', now, job.name, job.key, job.waiters, fields)
end
