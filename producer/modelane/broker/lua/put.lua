-- put: append messages to one priority list of a lane, all or none; a repeat changes nothing.
--
-- KEYS[1..4]  the lane's waiting lists, most urgent first
-- KEYS[5]     mark of this put, against repeats after a lost connection
-- KEYS[6]     rate: see settle.lua
-- KEYS[7]     leased: see reserve.lua
-- KEYS[8..]   results of the messages, one per message, if their ids may be put only once; else none
-- ARGV[1]     number of the list, 1 to 4
-- ARGV[2]     maximum number of messages that wait in the lane
-- ARGV[3]     seconds to keep the mark
-- ARGV[4]     Unix time on the sender's clock
-- ARGV[5]     time constant of the rate, seconds
-- ARGV[6]     seconds to keep the rate
-- ARGV[7..]   messages; with results: then their placeholders, then seconds to keep each placeholder
-- returns     {1, depth afterwards, positions of messages whose id is taken, from 0, separated by spaces}
--             or {0, depth, expected seconds until there is room, '' if unknown}: the lane is full
--
-- If the sender's clock is off by more than a second, the difference is added to its messages as their last JSON
-- field: the times in a message are of the sender's clock, and deadlines are checked against Redis time.

local depth = 0
for i = 1, 4 do depth = depth + redis.call('LLEN', KEYS[i]) end
local before = redis.call('GET', KEYS[5])
if before then return {1, depth, before} end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

-- A request that expired was not computed: its id is free again.
local expired = '\166status\167REVOKED\166result\131\168exc_type\167Expired'
local n, known, records = #ARGV - 6, {}, {}
if #KEYS > 7 then
  n = #KEYS - 7
  local n_new, seen = 0, {}
  for i = 1, n do
    local key = KEYS[7 + i]
    local stored = redis.call('GETRANGE', key, 0, 511)
    if seen[key] or (stored ~= '' and not string.find(stored, expired, 1, true)) then
      known[#known + 1] = i - 1
    else
      seen[key] = true
      n_new = n_new + 1
      records[n_new] = {'SET', key, ARGV[6 + n + i], 'EX', ARGV[6 + 2 * n + i]}
      ARGV[6 + n_new] = ARGV[6 + i]
    end
  end
  n = n_new
  for i = #ARGV, 7 + n, -1 do ARGV[i] = nil end
end
local too_many = depth + n - ARGV[2]
if too_many > 0 and n > 0 then
  local at, rate = string.match(redis.call('GET', KEYS[6]) or '', '^(%d[%d.]*) (%d[%d.e+-]*)$')
  if not at then return {0, depth, ''} end
  -- A lane that has settled nothing for long is slower than its rate says.
  local silent = math.max(1, (now - at) / ARGV[5])
  return {0, depth, string.format('%.6g', too_many / rate * silent)}
end

known = table.concat(known, ' ')
redis.call('SET', KEYS[5], known, 'EX', ARGV[3])
for _, record in ipairs(records) do redis.call(unpack(record)) end
local clock_off = now - ARGV[4]
if math.abs(clock_off) > 1 then
  local note = string.format(',"clock_off_s":%.3f}', clock_off)
  for i = 7, #ARGV do ARGV[i] = string.sub(ARGV[i], 1, -2) .. note end
end
local list = KEYS[tonumber(ARGV[1])]
for first = 7, #ARGV, 1000 do -- unpack is limited to some thousands
  redis.call('LPUSH', list, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if depth == 0 and n > 0 and redis.call('HLEN', KEYS[7]) == 0 then -- idle time does not lower the rate
  local rate = string.match(redis.call('GET', KEYS[6]) or '', '^%d[%d.]* (%d[%d.e+-]*)$')
  redis.call('SET', KEYS[6], string.format('%.6f %s', now, rate or '-'), 'EX', ARGV[6])
end
return {1, depth + n, known}
