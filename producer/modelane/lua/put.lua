-- put: append messages to one priority list of a lane, all or none, once.
--
-- KEYS[1..4]  the lane's lists, most urgent first
-- KEYS[5]     marks this put as done: a repeat after a lost connection changes nothing
-- ARGV[1]     which list, 1..4
-- ARGV[2]     messages that may wait in the lane
-- ARGV[3]     seconds that the mark lives
-- ARGV[4]     Unix time on the sender's clock
-- ARGV[5..]   messages
-- returns     {1, depth after} or {0, depth that refused it}
--
-- A sender's clock that is more than a second off is noted in its messages, as their last JSON field: the
-- times in them are by that clock, deadlines are held against Redis time.

local depth = 0
for i = 1, 4 do depth = depth + redis.call('LLEN', KEYS[i]) end
if redis.call('EXISTS', KEYS[5]) == 1 then return {1, depth} end

local n = #ARGV - 4
if depth + n > tonumber(ARGV[2]) then return {0, depth} end

redis.call('SET', KEYS[5], '', 'EX', ARGV[3])
local time = redis.call('TIME')
local clock_off = time[1] + time[2] / 1e6 - ARGV[4]
if math.abs(clock_off) > 1 then
  local note = string.format(',"clock_off_s":%.3f}', clock_off)
  for i = 5, #ARGV do ARGV[i] = string.sub(ARGV[i], 1, -2) .. note end
end
local list = KEYS[tonumber(ARGV[1])]
for first = 5, #ARGV, 1000 do -- unpack has room for some thousands
  redis.call('LPUSH', list, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
return {1, depth + n}
