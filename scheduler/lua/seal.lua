-- Seals mutations whose effects are in SQL: from here on their transaction may commit, so no cancel comes in time (C4, C6.4).
-- A seal outlives a redelivery, for the worker that set it may still commit; a sealed job is ended only by the delivery
-- that sealed it last, and that one has asked SQL what became of it.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 n, then n times: id, token, reads, then for each: kind, key, the version seen (see versions.lua)
-- Returns n words: OK; ALREADY, this delivery has sealed it before; LOST, the delivery is another's or the job ended;
--         CONFLICT, something it read has changed. Only OK changes anything.
-- Again: ALREADY, nothing changes.
-- Cost  O(n + reads). Caller: Inbox, between the last statement and the COMMIT.
-- flags: allow-oom
-- include: base
-- include: job
-- include: entry
-- include: versions

local replies, ids, tokens, sealing = {}, {}, {}, {}
local at = 3

local function check_reads(reads)
  local word = 'OK'
  for _ = 1, reads do
    local kind, key = ARGV[at], ARGV[at + 1]
    -- A job that this very call seals is no longer what was read of it.
    if version_of(kind, key) ~= ARGV[at + 2] or (kind == 'job' and sealing[key]) then
      word = 'CONFLICT'
    end
    at = at + 3
  end
  return word
end

for i = 1, tonumber(ARGV[2]) do
  ids[i], tokens[i] = ARGV[at], ARGV[at + 1]
  local reads = tonumber(ARGV[at + 2])
  at = at + 3
  local status = read_status(ids[i], 'state', 'token', 'sealed') or {}
  local word = check_reads(reads)
  if status[1] or status[2] ~= tokens[i] then
    replies[i] = 'LOST'
  elseif status[3] == tokens[i] then
    replies[i] = 'ALREADY'
  else
    replies[i] = word
    sealing[ids[i]] = word == 'OK' or nil
  end
end

for i, id in ipairs(ids) do
  if replies[i] == 'OK' then
    redis.call('HSET', NS .. 'status:' .. id, 'sealed', tokens[i])
  end
end
return replies
