-- revoke: note that requests are not wanted any more, and tell the workers.
--
-- KEYS[1]     revoked: sorted set, id -> Redis time; and the channel on which workers hear of it
-- ARGV[1]     seconds that an id is known
-- ARGV[2]     ids that are known at most
-- ARGV[3..]   ids
-- returns     how many had not been revoked before

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local n, ids = 0, {}
for i = 3, #ARGV do
  ids[#ids + 1] = ARGV[i]
  n = n + redis.call('ZADD', KEYS[1], string.format('%.6f', now), ARGV[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - ARGV[1]))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
redis.call('PUBLISH', KEYS[1], cjson.encode(ids))
return n
