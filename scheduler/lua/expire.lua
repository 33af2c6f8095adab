-- Actions whose worker died: failed, and never run again (C3.5). They are in no stream any more, so they cannot run twice.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 most actions to look at, 3 the error they get (msgpack)
-- Returns {failed, ms until the next lease ends or '' for none}
-- Again: the next ones.
-- Cost  O(failed log done). Caller: Janitor.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: spec
-- include: stats
-- include: death
-- include: complete

local now = read_clock()
local limit, failure = tonumber(ARGV[2]), ARGV[3]
local running = NS .. 'running'
local lost = {}
for i, id in ipairs(redis.call('ZRANGEBYSCORE', running, '-inf', int(now), 'LIMIT', 0, limit)) do
  local status = read_status(id, 'state', 'waiters', 'worker', 'died')
  local _, name, key = read_spec(read_beginning(id, SPEC_HEADER_BYTES) or '')
  lost[i] = { id = id, name = name or '', key = key or '', damaged = not status }
  -- Only what has begun is in here, whatever has become of its status.
  status = status or { 'inProgress', false, false, false }
  lost[i].state, lost[i].waiters, lost[i].died = status[1], status[2], add_death(status[4], now, status[3] or '')
  check_complete(lost[i].name)
end

local failed = 0
for _, one in ipairs(lost) do
  redis.call('ZREM', running, one.id)
  if one.state == 'inProgress' then
    if one.damaged then
      redis.call('DEL', NS .. 'status:' .. one.id)
    end
    redis.call('HDEL', NS .. 'status:' .. one.id, 'token')
    complete(one.id, 'failed', now, one.name, one.key, one.waiters, { 'error', failure, 'died', one.died })
    failed = failed + 1
  end
end
write_gathered()
local head = redis.call('ZRANGE', running, 0, 0, 'WITHSCORES')[2]
return { failed, head and int(math.max(0, tonumber(head) - now)) or '' }
