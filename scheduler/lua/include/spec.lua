-- The spec: what was asked, a msgpack array that never changes:
--   ['2', created_ms, ms from then to the time asked for, queue, function, kind, parent, key, args, kwargs]
-- The queue is '' for the default one, the kind 'm' or 'a': a job waits in as few bytes as tell all of it.
-- (Where the app has keys, body and cover in the place of args and kwargs: see spec.py).
-- The first eight are strings, so that a script can read them without a msgpack library (not every server has one).
local SPEC_HEADER_BYTES = 1200
local DEFAULT_QUEUE = 'default'

-- For the version and the two times: below 32 characters.
local function pack_str(text)
  return string.char(0xa0 + #text) .. text
end

-- The caller sends everything from the queue on; created and scheduled are only known here.
local function make_spec(created, scheduled, tail)
  return '\154' .. pack_str('2') .. pack_str(int(created)) .. pack_str(int(scheduled - created)) .. tail
end

-- Returns the string at `at` and the place after it, or nil where there is no msgpack string.
local function unpack_str(data, at)
  local head = at and data:byte(at)
  if not head then
    return nil
  end
  local first, length
  if head >= 0xa0 and head <= 0xbf then
    first, length = at + 1, head - 0xa0
  elseif head == 0xd9 and data:byte(at + 1) then
    first, length = at + 2, data:byte(at + 1)
  else
    return nil
  end
  if #data < first + length - 1 then
    return nil
  end
  return data:sub(first, first + length - 1), first + length
end

-- Returns queue, function and idempotency key of a spec (or its beginning), or nil where it is damaged.
local function read_spec(data)
  local at, field = 2, nil
  local fields = {}
  for i = 1, 8 do
    field, at = unpack_str(data, at)
    if not field then
      return nil
    end
    fields[i] = field
  end
  return fields[4] == '' and DEFAULT_QUEUE or fields[4], fields[5], fields[8]
end
