-- Which commands the caller may not send: a script that meets one stops halfway, and what it has written by then stays.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then commands with arguments, the words of each joined by spaces
-- Returns those that the caller's user of the server may not send, as they were given; none where there are no users.
-- Again: the same.
-- Cost  O(commands). Caller: a worker before it starts.
-- flags: allow-oom
-- include: base

local denied = {}
for i = 2, redis.acl_check_cmd and #ARGV or 0 do -- fakeredis has no users
  local words = {}
  for word in ARGV[i]:gmatch('[^ ]+') do
    words[#words + 1] = word
  end
  if not redis.acl_check_cmd(unpack(words)) then
    denied[#denied + 1] = ARGV[i]
  end
end
return denied
