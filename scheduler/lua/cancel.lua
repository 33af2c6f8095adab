-- Cancels jobs, each as the table of C4 says.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then the ids
-- Returns a word for each id: CANCELED, it was pending; RUNNING, an action in progress, its result will be dropped;
--         FINISHED, it had ended or is sealed; UNKNOWN, there is no such job, or it is damaged. The last two change nothing.
-- Again: FINISHED.
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

local now = read_clock()
local outcomes, jobs, seen = {}, {}, {}
for i = 2, #ARGV do
  local outcome, job = look_at_job(ARGV[i])
  if seen[ARGV[i]] and outcome ~= 'UNKNOWN' then
    outcome = 'FINISHED'
  end
  seen[ARGV[i]] = true
  outcomes[i - 1], jobs[i - 1] = outcome, job
end
for i, job in ipairs(jobs) do
  withdraw(outcomes[i], job, now)
end
write_gathered()
return outcomes
