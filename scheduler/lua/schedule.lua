-- Schedules jobs: each gets its spec and its place in the due set; those due now go on to their ready stream (C2).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 n, then n times CREATE_ARGS (see create.lua)
-- Returns a flat list of n pairs (word, id): OK; EXISTS, this id is known already; KEY, the idempotency key stands for the id.
-- Again: EXISTS, nothing changes (C2.10).
-- Cost  O(n log due). Caller: Scheduler, ctx.scheduler of actions.
-- include: base
-- include: gathered
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

-- Most ids are new: one look at many, and at each only where that finds any.
local IDS_AT_ONCE = 200

local function is_known(id)
  return redis.call('EXISTS', NS .. 'job:' .. id, NS .. 'status:' .. id) > 0
end

local function is_any_known(count)
  local keys, found = {}, 0
  for i = 1, count do
    local id = ARGV[4 + (i - 1) * CREATE_ARGS]
    keys[#keys + 1] = NS .. 'job:' .. id
    keys[#keys + 1] = NS .. 'status:' .. id
    if #keys == 2 * IDS_AT_ONCE or i == count then
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

for _, job in ipairs(jobs) do
  create(job, now, soon, nonce)
end
write_gathered()
settle_queues(now, nonce)
return replies
