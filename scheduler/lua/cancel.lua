-- Cancels jobs, each as the table of C4 says.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, then the ids
-- Returns a word for each id: CANCELED, it was pending; RUNNING, an action in progress, its result will be dropped;
--         FINISHED, it had ended or is sealed; UNKNOWN, there is no such job, or it is damaged. The last two change nothing.
-- Again: the same words, nothing changes; another call finds what this one canceled FINISHED.
-- Cost  O(ids log due). Caller: Scheduler, ctx.scheduler of actions.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: spec
-- include: stats
-- include: complete
-- include: deliver
-- include: due
-- include: withdraw

local FIRST = 3
local now = read_clock()
local nonce = ARGV[2]
local outcomes, replies, jobs, seen = {}, {}, {}, {}
for i = 1, #ARGV - FIRST + 1 do
  local id = ARGV[i + FIRST - 1]
  local outcome, job = look_at_job(id)
  local reply = job.withdrawn == nonce and (job.started and 'RUNNING' or 'CANCELED') or outcome
  if seen[id] and outcome ~= 'UNKNOWN' then
    outcome, reply = 'FINISHED', 'FINISHED'
  end
  seen[id] = true
  outcomes[i], replies[i], jobs[i] = outcome, reply, job
end
for i, job in ipairs(jobs) do
  withdraw(outcomes[i], job, now, { 'withdrawn', nonce })
end
write_gathered()
return replies
