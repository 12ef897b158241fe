-- put: append messages to one priority list of a lane, all or none, once.
--
-- KEYS[1..4]  the lane's lists, most urgent first
-- KEYS[5]     marks this put as done: a repeat after a lost connection changes nothing
-- ARGV[1]     which list, 1..4
-- ARGV[2]     messages that may wait in the lane
-- ARGV[3]     seconds that the mark lives
-- ARGV[4..]   messages
-- returns     {1, depth after} or {0, depth that refused it}

local depth = 0
for i = 1, 4 do depth = depth + redis.call('LLEN', KEYS[i]) end
if redis.call('EXISTS', KEYS[5]) == 1 then return {1, depth} end

local n = #ARGV - 3
if depth + n > tonumber(ARGV[2]) then return {0, depth} end

redis.call('SET', KEYS[5], '', 'EX', ARGV[3])
local list = KEYS[tonumber(ARGV[1])]
for first = 4, #ARGV, 1000 do -- unpack has room for some thousands
  redis.call('LPUSH', list, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
return {1, depth + n}
