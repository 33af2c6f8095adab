-- ARGV read from front to back.
local cursor = 2

local function skip(n)
  cursor = cursor + n
  return cursor - n
end

local function take()
  return ARGV[skip(1)]
end

-- Rows of `width` arguments become their places in ARGV: nothing is copied before it is written.
local function take_rows(width, count)
  local places = {}
  for i = 1, count do
    places[i] = skip(width)
  end
  return places
end

-- A list is its length and its rows.
local function take_list(width)
  return take_rows(width, tonumber(take()))
end
