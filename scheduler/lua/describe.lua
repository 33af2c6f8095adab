-- What is known of functions that live deployments have registered (C2.6).
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then names
-- Returns for each name its description as JSON, or '' where no live deployment has it.
-- A function is live while it was announced within LIVE_MS of the newest announcement: the set of the last deployment
-- stays while no worker runs, and what a new deployment dropped is gone once the old workers have been for that long.
-- Cost  O(names). Caller: Scheduler, for names it has no function for.
-- include: base

local LIVE_MS = 180000
local newest = tonumber(redis.call('ZRANGE', NS .. 'functions:seen', -1, -1, 'WITHSCORES')[2] or 0)
local reply = {}
for i = 2, #ARGV do
  local seen = tonumber(redis.call('ZSCORE', NS .. 'functions:seen', ARGV[i]) or -LIVE_MS)
  reply[i - 1] = seen > newest - LIVE_MS and redis.call('HGET', NS .. 'functions', ARGV[i]) or ''
end
return reply
