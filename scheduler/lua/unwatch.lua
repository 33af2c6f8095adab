-- Takes a mark of `watch` back: whoever waited has given up.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 job id, 3 mailbox
-- Returns 1 if the mark was there, else 0.
-- Again: 0, nothing changes.
-- Cost  O(waiters of the job). Caller: Scheduler.result.
-- flags: allow-oom
-- include: base
-- include: job

local status, left, found = NS .. 'status:' .. ARGV[2], {}, 0
for mailbox in ((read_status(ARGV[2], 'waiters') or {})[1] or ''):gmatch('[^ ]+') do
  if mailbox == ARGV[3] then
    found = 1
  else
    left[#left + 1] = mailbox
  end
end
if found == 1 and #left > 0 then
  redis.call('HSET', status, 'waiters', table.concat(left, ' '))
elseif found == 1 then
  redis.call('HDEL', status, 'waiters')
end
redis.call('DEL', NS .. 'mail:' .. ARGV[3])
return found
