-- Whether what mutations have read still holds, all of one at one moment (C6.2).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', 2 n, then n times:
--         reads, then for each: kind, key, the version seen (see versions.lua)
--         scans, then for each: SCAN_ARGS, the ids found, joined by spaces
-- Returns {sequence of the last commit, then n times 1 (it holds) or 0}
-- Cost  O(reads + documents found). Caller: Transaction.
-- flags: allow-oom
-- include: base
-- include: arguments
-- include: entry
-- include: job
-- include: versions

local reply = { redis.call('GET', NS .. 'sequence') or '0' }
for i = 1, tonumber(take()) do
  local reads, scans = take_list(3), take_list(SCAN_ARGS + 1)
  reply[i + 1] = still_holds(reads, scans) and 1 or 0
end
return reply
