-- Deaths of the workers that had a job in hand, the newest last: each a line of the time in ms and the worker's name.
local MOST_DEATHS = 10

-- `died` is what the status holds (false: none).
local function add_death(died, now, worker)
  local lines = {}
  for line in (died or ''):gmatch('[^\n]+') do
    lines[#lines + 1] = line
  end
  lines[#lines + 1] = int(now) .. ' ' .. worker
  return table.concat(lines, '\n', math.max(1, #lines - MOST_DEATHS + 1))
end
