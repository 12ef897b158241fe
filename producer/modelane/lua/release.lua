-- release: give messages back, to be reserved again after a delay.
--
-- KEYS[1]     leased: hash, tag -> message
-- KEYS[2]     leases: sorted set, tag -> time
-- ARGV[1]     delay, seconds
-- ARGV[2]     1: the attempt counts (a retry); 0: it does not (an ETA, a shutdown)
-- ARGV[3..]   tags
-- returns     how many were still ours

redis.call('PERSIST', KEYS[2]) -- changes nothing, but a script that has written may go on when memory is full

local time = redis.call('TIME')
local back = string.format('%.6f', time[1] + time[2] / 1e6 + ARGV[1])
local n = 0
for i = 3, #ARGV do
  local tag = ARGV[i]
  local message = redis.call('HGET', KEYS[1], tag)
  if message then
    n = n + 1
    if ARGV[2] == '0' then
      redis.call('HDEL', KEYS[1], tag)
      redis.call('ZREM', KEYS[2], tag)
      tag = string.sub(tag, 1, 1) .. 'D' .. string.sub(tag, 3)
      redis.call('HSET', KEYS[1], tag, message)
    end
    redis.call('ZADD', KEYS[2], back, tag)
  end
end
return n
