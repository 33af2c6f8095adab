-- Takes or renews the promoter's lease, and moves due jobs to their ready streams in order of due time (C3.7, C7.3).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 promoter's name, 4 lease in ms, 5 most jobs to move (1 to 1000)
-- Returns {LEAD, moved, next due time in ms or '', now in ms, queues with a key of the wrong type, microseconds past now}, or {FOLLOW, ms until
--         the leader's lease ends, now in ms}
-- Again: moves the next ones.
-- Cost  O(queues + moved log due); a hundred jobs hold the server for about 1 ms. Caller: Promoter.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: deliver
-- include: due

local now, _, micros = read_clock()
local nonce, name, lease_ms, limit = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local leader = redis.call('GET', NS .. 'promoter')
if leader and leader ~= name then
  return { 'FOLLOW', redis.call('PTTL', NS .. 'promoter'), int(now) }
end

-- A queue with a key of the wrong type is left out and named: it must not hold up the others.
local known, damaged = {}, {}
for _, queue in ipairs(redis.call('SMEMBERS', NS .. 'queues')) do
  if is_sound(queue) then
    look_at_queue(queue)
    known[#known + 1] = queue
  else
    damaged[#damaged + 1] = queue
  end
end
redis.call('SET', NS .. 'promoter', name, 'PX', lease_ms)

-- A share for each queue: one endless backlog must not starve the others.
local share = math.max(1, math.floor(limit / math.max(1, #known)))
local moved, next_due = 0, nil
for _, queue in ipairs(known) do
  moved = moved + promote_queue(queue, share, now, nonce)
  local head = tonumber(redis.call('ZRANGE', NS .. 'due:' .. queue, 0, 0, 'WITHSCORES')[2])
  if head and (not next_due or head < next_due) then
    next_due = head
  end
end
return { 'LEAD', moved, next_due and int(next_due) or '', int(now), damaged, micros }
