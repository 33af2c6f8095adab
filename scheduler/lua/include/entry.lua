-- An index entry is <sort key of the values><number of creation, 16 digits><document id><length of the id, 3 digits>.
local function make_entry(sort_key, created, id)
  return sort_key .. string.format('%016.0f', tonumber(created)) .. id .. string.format('%03d', #id)
end

local function id_of_entry(entry)
  return entry:sub(-3 - tonumber(entry:sub(-3)), -4)
end
