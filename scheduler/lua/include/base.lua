-- Every script gets KEYS[1] = '{ns}:', the prefix of all keys of the app (one slot), and ARGV[1] = a clock in ms given
-- by a test, or '' for the server's own.
local NS = KEYS[1]
local GROUP = 'workers'

-- Lua prints numbers above 14 digits in scientific notation; Redis wants digits. The same few times come again and again.
local digits = {}

local function int(number)
  local text = digits[number]
  if not text then
    text = string.format('%.0f', number)
    if number == number then -- damaged data may hold what is no number
      digits[number] = text
    end
  end
  return text
end

-- Read once a script: TIME moves while a script runs on Redis before 7.2.
-- Returns the time in whole ms, rounded down and rounded up, and the microseconds that rounding down took off. A delay
-- counts from the upper one, so nothing is early.
local function read_clock()
  if ARGV[1] ~= '' then
    return tonumber(ARGV[1]), tonumber(ARGV[1]), 0
  end
  local time = redis.call('TIME')
  local seconds, micros = tonumber(time[1]), tonumber(time[2])
  return seconds * 1000 + math.floor(micros / 1000), seconds * 1000 + math.ceil(micros / 1000), micros % 1000
end

-- When this runs, in microseconds of the server's own clock: a caller's nonce alone comes twice when a call is sent again.
local function read_moment()
  local time = redis.call('TIME')
  return string.format('%x', tonumber(time[1]) * 1000000 + tonumber(time[2]))
end

-- Whether a key, named after the prefix, is of this type or may become one.
local function is_of(name, kind)
  local found = redis.call('TYPE', NS .. name).ok
  return found == kind or found == 'none'
end

-- A setting or a number of ms as duestream writes it; nil where there is none, and where it is damaged: 'inf' and 'nan' are
-- numbers to Lua, and no time.
local function whole(text)
  return text and #text < 20 and text:match('^%d+$') and tonumber(text) or nil
end
