-- Entries that were handed out and that nobody holds: somebody deleted the consumer that held them, and no reader is ever handed
-- them again. Every other entry up to the last that was handed out is in the group's pending list, for acking deletes it.
--
-- Looks from the front of the stream on, up to the first entry that is held: what is behind that one is found when it is gone.

local function last_handed_out(stream)
  return read_group(stream)['last-delivered-id']
end

-- One entry where the first is held: specs are copied to be looked at.
local function find_stranded(stream, limit)
  local last, found, count = last_handed_out(stream), {}, 1
  while true do
    local entries = redis.call('XRANGE', stream, '-', last, 'COUNT', count)
    for i = #found + 1, #entries do
      if #redis.call('XPENDING', stream, GROUP, entries[i][1], entries[i][1], 1) > 0 then
        return found
      end
      found[i] = entries[i][1]
    end
    if #entries < count or count == limit then
      return found
    end
    count = limit
  end
end
