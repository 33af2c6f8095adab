-- What is wrong with a job, an entry, a key, a queue or a member of a table, at this moment: `examine` tells it, `mend` looks again.
-- Each of these moves in one step from where it is to where it belongs, so what is found out of place here is not on its way.
local ENDED = { success = true, failed = true, canceled = true }

-- Whether the delivery that a status names is in its stream.
local function has_entry(queue, entry, token)
  local fields = entry and read_entry(NS .. 'ready:' .. queue, entry)
  return fields and fields.token == token
end

-- A member of a set that has no business there: due and ended, running and not in progress, ended and without a record.
local function judge_place(place, spec, state)
  if place:find('^due:') then
    return (spec == '' or state) and 'DANGLING' or 'OK'
  elseif place == 'running' then
    return (spec == '' or state ~= 'inProgress') and 'DANGLING' or 'OK'
  elseif place == 'expiry' then
    return (spec == '' or not ENDED[state]) and 'DANGLING' or 'OK'
  end
  return (spec == '' or 'done:' .. tostring(state) ~= place) and 'DANGLING' or 'OK'
end

-- A job that is in no set and no stream where its state says that it is.
local function judge_state(id, queue, status)
  local state = status[1]
  if not state then
    local waits = is_sound(queue) and (redis.call('ZSCORE', NS .. 'due:' .. queue, id) or has_entry(queue, status[3], status[2]))
    return (waits or not is_sound(queue)) and 'OK' or 'LOST'
  elseif state == 'inProgress' then
    return redis.call('ZSCORE', NS .. 'running', id) and 'OK' or 'UNWATCHED'
  end
  return (redis.call('ZSCORE', NS .. 'done:' .. state, id) or not ENDED[state]) and 'OK' or 'UNLISTED'
end

-- `place` is the set it was found in, after the prefix, '' for none. Returns the word, and what is known of the job.
local function judge_job(id, place)
  local spec, status = read_beginning(id, SPEC_HEADER_BYTES), read_status(id, 'state', 'token', 'entry', 'completed')
  local job = { id = id, status = status }
  if place ~= '' and not redis.call('ZSCORE', NS .. place, id) then
    return 'OK', job
  end
  job.queue, job.name, job.key = read_spec(spec or '')
  if spec ~= '' and not job.queue then
    return 'SPEC', job
  elseif not status then
    return 'STATUS', job
  elseif place ~= '' then
    return judge_place(place, spec, status[1]), job
  elseif spec == '' then
    return redis.call('PTTL', NS .. 'status:' .. id) == -1 and 'ORPHAN' or 'OK', job
  end
  return judge_state(id, job.queue, status), job
end

-- Whether an entry was handed out, and nobody holds it (see stranded.lua).
local function is_stranded(stream, entry)
  if not has_group(stream) or #redis.call('XPENDING', stream, GROUP, entry, entry, 1) > 0 then
    return false
  end
  return #redis.call('XRANGE', stream, entry, last_handed_out(stream), 'COUNT', 1) > 0
end

-- Returns the word, and the job that the entry is of.
local function judge_entry(queue, entry)
  local fields = is_of('ready:' .. queue, 'stream') and read_entry(NS .. 'ready:' .. queue, entry)
  if not fields then
    return 'OK'
  end
  if not fields.job or not fields.token then
    return 'FOREIGN'
  end
  local status = read_status(fields.job, 'state', 'token')
  if status and (status[1] or status[2] ~= fields.token) then
    return 'STALE'
  end
  return is_stranded(NS .. 'ready:' .. queue, entry) and 'STRANDED' or 'OK', fields.job
end

local function judge_key(key)
  local id = read_key(key)
  return id and redis.call('EXISTS', NS .. 'job:' .. id, NS .. 'status:' .. id) == 0 and 'ORPHAN' or 'OK'
end

-- A member of a table or an index, at `place` after the prefix: a document leaves both in the step in which it goes.
local function judge_member(member, place)
  if not is_of(place, 'zset') or not redis.call('ZSCORE', NS .. place, member) then
    return 'OK'
  end
  local id = member
  if place:find('^index:') then
    id = tonumber(member:sub(-3)) and id_of_entry(member) or ''
  end
  return redis.call('EXISTS', NS .. 'doc:' .. id) == 0 and 'DANGLING' or 'OK'
end

local function judge_queue(queue)
  local stream = NS .. 'ready:' .. queue
  return redis.call('TYPE', stream).ok == 'stream' and not has_group(stream) and 'GROUPLESS' or 'OK'
end
