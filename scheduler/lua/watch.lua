-- Leaves a mark on a job that has not ended, so that its end is posted to a mailbox; only then is one posted.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 job id, 3 mailbox
-- Returns WATCHING, FINISHED, or UNKNOWN: there is no such job, or it is damaged.
-- Again: the same.
-- Cost  O(waiters of the job). Caller: Scheduler.result.
-- include: base
-- include: job

local id, mailbox = ARGV[2], ARGV[3]
local status = read_status(id, 'state', 'waiters')
if not status then
  return 'UNKNOWN'
elseif status[1] == 'success' or status[1] == 'failed' or status[1] == 'canceled' then
  return 'FINISHED'
elseif redis.call('EXISTS', NS .. 'job:' .. id) == 0 then
  return 'UNKNOWN'
end
local waiters = status[2] or ''
if not (' ' .. waiters .. ' '):find(' ' .. mailbox .. ' ', 1, true) then
  redis.call('HSET', NS .. 'status:' .. id, 'waiters', waiters == '' and mailbox or waiters .. ' ' .. mailbox)
end
return 'WATCHING'
