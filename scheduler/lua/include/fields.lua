-- Names and values, as replies have them one after the other.
local function fields_of(flat)
  local fields = {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

-- The fields of an entry of a stream; nil where it is gone.
local function read_entry(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  return found and fields_of(found[2])
end
