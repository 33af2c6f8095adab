-- ARGV read from front to back.
local cursor = 2

local function skip(n)
  cursor = cursor + n
  return cursor - n
end

local function take()
  return ARGV[skip(1)]
end

-- A list is its length and its rows of `width` arguments. It becomes their places in ARGV: nothing is copied before it is
-- written.
local function take_list(width)
  local places = {}
  for i = 1, tonumber(take()) do
    places[i] = skip(width)
  end
  return places
end
