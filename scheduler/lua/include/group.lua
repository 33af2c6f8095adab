-- Whether a ready stream is there and has the workers' group: XPENDING refuses one without.
local function has_group(stream)
  if redis.call('EXISTS', stream) == 0 then
    return false
  end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    for i = 1, #group, 2 do
      if group[i] == 'name' and group[i + 1] == GROUP then
        return true
      end
    end
  end
  return false
end
