-- A job comes into being: for `schedule` and for the children of a `commit`.
-- ARGV of one job, CREATE_ARGS of them: id, queue, function, mode ('after' | 'at'), ms (delay or epoch), parent ('': none),
-- idempotency key ('': none), born ('' | 'canceled'), the spec from the queue on.
local CREATE_ARGS = 9

local function read_create(at)
  return {
    id = ARGV[at], queue = ARGV[at + 1], name = ARGV[at + 2], mode = ARGV[at + 3], ms = tonumber(ARGV[at + 4]),
    parent = ARGV[at + 5], key = ARGV[at + 6], born = ARGV[at + 7], tail = ARGV[at + 8],
  }
end

-- `runner` is the job whose action makes it, '' for none: canceled while its code runs on, what it schedules from then on is
-- born canceled (C4, C4.2).
local function check_create(job, runner)
  look_at_queue(job.queue)
  if runner ~= '' and (read_status(runner, 'state') or {})[1] == 'canceled' then
    job.born = 'canceled'
  end
  if job.born == 'canceled' then
    check_complete(job.name)
  end
end

-- `soon` is the time rounded up to a ms. The requested time is kept; the due time is never in the past, so that a late
-- job does not jump ahead of those that have been due for longer (C2.4).
local function create(job, now, soon, nonce)
  local scheduled, due
  if job.mode == 'after' then
    scheduled = job.ms > 0 and soon + job.ms or now + job.ms
  else
    scheduled = job.ms
  end
  due = math.max(scheduled, now)
  local spec = make_spec(now, scheduled, job.tail)
  set_string('job:' .. job.id, spec)
  if job.key ~= '' then
    set_string('key:' .. job.key, job.id)
  end
  if job.born == 'canceled' then
    write_gathered() -- before it may be removed at once
    complete(job.id, 'canceled', now, job.name, job.key, false, {})
  elseif due > now or not make_ready(job.queue, job.id, spec, now, nonce) then
    add_due(job.queue, job.id, due, now)
  end
end
