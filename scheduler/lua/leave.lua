-- A worker goes: what it still holds unseen is given back at once, and its consumer, heartbeat and promoter's lease go.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 nonce, 3 worker's name, 4 promoter's name, then its queues
-- Returns the number of deliveries given back.
-- Again: 0, nothing changes.
-- Cost  O(deliveries held). Caller: Presence, as the last call of a graceful stop.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: deliver
-- include: fields

local LIMIT = 1000
local nonce, worker, promoter = ARGV[2], ARGV[3], ARGV[4]
local back = 0
for q = 5, #ARGV do
  local queue = ARGV[q]
  local stream = NS .. 'ready:' .. queue
  local entries = redis.pcall('XPENDING', stream, GROUP, '-', '+', LIMIT, worker)
  if not entries.err then
    for i, entry in ipairs(entries) do
      local fields = read_entry(stream, entry[1]) or {}
      local status = fields.job and read_status(fields.job, 'state', 'token')
      local head = fields.job and read_head(fields.job)
      drop_entry(queue, entry[1])
      if fields.job and not status then
        status = mend_status(fields.job, fields.token)
      end
      if fields.job and not status[1] and status[2] == fields.token and head ~= '' then
        local attempt = tonumber(fields.attempt) or 1
        deliver(queue, fields.job, attempt, nonce .. ':' .. queue .. ':' .. i, head, fields.poison)
        back = back + 1
      end
    end
    write_gathered()
    -- A consumer with pending entries would take them with it without a word.
    if #entries < LIMIT then
      redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, worker)
    end
  end
end
redis.call('ZREM', NS .. 'workers', worker)
redis.call('DEL', NS .. 'worker:' .. worker)
if redis.call('GET', NS .. 'promoter') == promoter then
  redis.call('DEL', NS .. 'promoter')
  redis.call('RPUSH', NS .. 'succession', '1')
  redis.call('PEXPIRE', NS .. 'succession', 10000)
end
return back
