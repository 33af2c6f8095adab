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

-- One command for many jobs: what a command costs beside its work is most of what a job costs here.
local AT_A_TIME = 200

local function call_for_all(command, first, rest)
  for from = 1, #rest, 2 * AT_A_TIME do
    local to = math.min(from + 2 * AT_A_TIME - 1, #rest)
    if first then
      redis.call(command, first, unpack(rest, from, to))
    else
      redis.call(command, unpack(rest, from, to))
    end
  end
end

local function is_known(id)
  return redis.call('EXISTS', NS .. 'job:' .. id, NS .. 'status:' .. id) > 0
end

-- Whether any of the ids is: hardly ever.
local function is_any_known(count)
  local keys, found = {}, 0
  for i = 1, count do
    local id = ARGV[4 + (i - 1) * CREATE_ARGS]
    keys[#keys + 1] = NS .. 'job:' .. id
    keys[#keys + 1] = NS .. 'status:' .. id
    if #keys == 2 * AT_A_TIME or i == count then
      found = found + redis.call('EXISTS', unpack(keys))
      keys = {}
    end
  end
  return found > 0
end

check_wake()
local any_known = is_any_known(tonumber(ARGV[3]))
for i = 1, tonumber(ARGV[3]) do
  local job = read_create(4 + (i - 1) * CREATE_ARGS)
  local word, id = 'OK', job.id
  local holder = job.key ~= '' and (fresh_keys[job.key] or read_key(job.key))
  -- A key whose job is gone without its spec (damaged, deleted by hand) stands for nothing.
  if holder and not fresh_keys[job.key] and not is_known(holder) then
    holder = false
  end
  if fresh_ids[id] or (any_known and is_known(id)) then
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

-- The specs of those that are not born canceled; by queue, those that are due now, and what the due set is to hold.
local specs, at_once, later = {}, {}, {}

local function wait(job, due)
  local rows = later[job.queue] or {}
  later[job.queue] = rows
  rows[#rows + 1] = int(due)
  rows[#rows + 1] = job.id
  note_due(look_at_queue(job.queue), due, now)
end

local function make(job)
  local scheduled, due = times_of(job, now, soon)
  job.spec = make_spec(now, scheduled, job.tail)
  specs[#specs + 1] = NS .. 'job:' .. job.id
  specs[#specs + 1] = job.spec
  local queue = job.queue
  if due <= now then
    at_once[queue] = at_once[queue] or {}
    table.insert(at_once[queue], job)
  else
    wait(job, due)
  end
end

-- Ties of due time go by id, as they do in the due set (C3.7).
local function by_id(one, other)
  return one.id < other.id
end

-- Those of a queue that are due now: straight into its ready stream, or by the due set.
local function hand_on(queue, ready)
  if may_pass(queue, #ready, now) then
    make_known(queue, look_at_queue(queue))
    table.sort(ready, by_id)
    for i, job in ipairs(ready) do
      deliver(queue, job.id, 1, nonce .. ':' .. queue .. ':' .. i, job.spec)
    end
  else
    for _, job in ipairs(ready) do
      wait(job, now)
    end
  end
end

for _, job in ipairs(jobs) do
  if job.born == 'canceled' then
    create(job, now, soon)
  else
    make(job)
    if job.key ~= '' then
      redis.call('SET', NS .. 'key:' .. job.key, job.id)
    end
  end
end
call_for_all('MSET', nil, specs)
for queue, ready in pairs(at_once) do
  hand_on(queue, ready)
end
for queue, rows in pairs(later) do
  make_known(queue, look_at_queue(queue))
  call_for_all('ZADD', NS .. 'due:' .. queue, rows)
end
settle_queues(now, nonce)
return replies
