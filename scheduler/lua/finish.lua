-- Records how actions ended (C3.5).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 n, then n times: id, function, idempotency key or '', token, state ('success' | 'failed'),
--       result or error (msgpack)
-- Returns n words: OK; ALREADY, this delivery's end was recorded before; LOST, the job was canceled or given up, or
--         its status is damaged.
-- Again: ALREADY, nothing changes.
-- Cost  O(n log done). Caller: Committer.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: stats
-- include: complete

local ARGS = 6
local now = read_clock()
local ends = tonumber(ARGV[2])
local replies, waiters, seen = {}, {}, {}

redis.call('ZCARD', NS .. 'running')
for i = 1, ends do
  local at = 3 + (i - 1) * ARGS
  local status = read_status(ARGV[at], 'state', 'token', 'waiters') or {}
  waiters[i] = status[3]
  check_complete(ARGV[at + 1])
  if status[2] ~= ARGV[at + 3] then
    replies[i] = 'LOST'
  elseif status[1] == 'inProgress' and not seen[ARGV[at]] then
    replies[i] = 'OK'
    seen[ARGV[at]] = true
  else
    replies[i] = 'ALREADY'
  end
end

for i = 1, ends do
  if replies[i] == 'OK' then
    local at = 3 + (i - 1) * ARGS
    local id, name, key, state, value = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4], ARGV[at + 5]
    remove_member('running', id)
    complete(id, state, now, name, key, waiters[i], { state == 'success' and 'result' or 'error', value })
  end
end
write_gathered()
return replies
