-- revoke: note that requests are no longer wanted, and tell the workers.
--
-- KEYS[1]     revoked: sorted set, id -> Redis time; also the channel on which workers hear of new ids
-- ARGV[1]     seconds to keep an id
-- ARGV[2]     number of ids to keep at most
-- ARGV[3..]   ids
-- returns     number of ids that were not revoked before
--
-- A revocation that Celery broadcasts arrives here once from each worker: only the first call publishes it.

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local new = {}
for i = 3, #ARGV do
  if redis.call('ZADD', KEYS[1], string.format('%.6f', now), ARGV[i]) == 1 then new[#new + 1] = ARGV[i] end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - ARGV[1]))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
if #new > 0 then redis.call('PUBLISH', KEYS[1], cjson.encode(new)) end
return #new
