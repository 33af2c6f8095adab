-- Schedules jobs: each gets its spec and its place in the due set; those due now go on to their ready stream (C2).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 n, then n times CREATE_ARGS (see create.lua)
-- Returns a flat list of n pairs (word, id): OK; EXISTS, this id is known already; KEY, the idempotency key stands for the id.
-- Again: EXISTS, nothing changes (C2.10).
-- Cost  O(n log due). Caller: Scheduler, ctx.scheduler of actions.
-- include: base
-- include: job
-- include: spec
-- include: stats
-- include: complete
-- include: deliver
-- include: due
-- include: create

local now, soon = read_clock()
local nonce = ARGV[2]
local jobs, replies, fresh_keys, fresh_ids = {}, {}, {}, {}
local at_once = {}

check_wake()
for i = 1, tonumber(ARGV[3]) do
  local job = read_create(4 + (i - 1) * CREATE_ARGS)
  local word, id = 'OK', job.id
  local holder = job.key ~= '' and (fresh_keys[job.key] or read_key(job.key))
  -- A key whose job is gone without its spec (damaged, deleted by hand) stands for nothing.
  if holder and not fresh_keys[job.key]
    and redis.call('EXISTS', NS .. 'job:' .. holder, NS .. 'status:' .. holder) == 0 then
    holder = false
  end
  if fresh_ids[id] or redis.call('EXISTS', NS .. 'job:' .. id, NS .. 'status:' .. id) > 0 then
    word = 'EXISTS'
  elseif holder then
    word, id = 'KEY', holder
  else
    check_create(job, job.parent)
    fresh_ids[id] = true
    if job.key ~= '' then
      fresh_keys[job.key] = id
    end
    jobs[#jobs + 1] = job
  end
  replies[#replies + 1] = word
  replies[#replies + 1] = id
end

-- Ties of due time go by id, as they do in the due set (C3.7).
local function by_id(one, other)
  return one.id < other.id
end

-- Those of a queue that are due now, straight into its ready stream.
local function pass(queue, ready)
  make_known(queue, look_at_queue(queue))
  table.sort(ready, by_id)
  for i, job in ipairs(ready) do
    deliver(queue, job.id, 1, nonce .. ':' .. queue .. ':' .. i, job.spec)
  end
end

for _, job in ipairs(jobs) do
  job.scheduled, job.due = times_of(job, now, soon)
  if job.due <= now and job.born ~= 'canceled' then
    at_once[job.queue] = at_once[job.queue] or {}
    table.insert(at_once[job.queue], job)
  end
end
for queue, ready in pairs(at_once) do
  at_once[queue] = may_pass(queue, #ready, now) and ready or nil
end
for _, job in ipairs(jobs) do
  if job.due <= now and job.born ~= 'canceled' and at_once[job.queue] then
    job.spec = write_spec(job, now, job.scheduled)
  else
    create(job, now, soon)
  end
end
for queue, ready in pairs(at_once) do
  pass(queue, ready)
end
settle_queues(now, nonce)
return replies
