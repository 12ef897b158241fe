-- attach: publish the answers of requests to one more channel.
--
-- KEYS[1]     attached: exists while any request may have such channels; KEYS[1].<id>: set of channels
-- KEYS[2]     revoked: sorted set, id -> Redis time
-- KEYS[3..]   for each request: KEYS[1].<id>
-- ARGV[1]     channel
-- ARGV[2]     seconds for which the client waits
-- ARGV[3..]   ids of the requests
-- returns     ids of the requests that were revoked

local function keep(key)
  if redis.call('TTL', key) < ARGV[2] + 0 then redis.call('EXPIRE', key, ARGV[2]) end
end

local revoked = {}
for i = 3, #KEYS do
  redis.call('SADD', KEYS[i], ARGV[1])
  keep(KEYS[i])
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) then revoked[#revoked + 1] = ARGV[i] end
end
redis.call('SETNX', KEYS[1], '')
keep(KEYS[1])
return revoked
