-- What the server says of the workers' group of a ready stream; nil where there is no stream, or none with that group.
local function read_group(stream)
  if redis.call('EXISTS', stream) == 0 then
    return nil
  end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = fields_of(group)
    if fields.name == GROUP then
      return fields
    end
  end
end

-- XPENDING refuses a stream without it.
local function has_group(stream)
  return read_group(stream) ~= nil
end
