-- revoke: note that requests are not wanted any more, and tell the workers.
--
-- KEYS[1]     revoked: sorted set, id -> Redis time; and the channel on which workers hear of it
-- ARGV[1..]   ids
-- returns     how many had not been revoked before

local time = redis.call('TIME')
local now = string.format('%.6f', time[1] + time[2] / 1e6)
local n = 0
for i = 1, #ARGV do n = n + redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('PUBLISH', KEYS[1], cjson.encode(ARGV))
return n
