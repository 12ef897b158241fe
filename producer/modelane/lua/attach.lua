-- attach: have the answers of some requests published to one more channel.
--
-- KEYS[1]     attached: exists as long as any request may have one
-- KEYS[2..]   for each request: set of channels
-- ARGV[1]     channel
-- ARGV[2]     seconds that it is wanted
-- returns     how many it was added to

local function keep(key)
  if redis.call('TTL', key) < ARGV[2] + 0 then redis.call('EXPIRE', key, ARGV[2]) end
end

local n = 0
for i = 2, #KEYS do
  n = n + redis.call('SADD', KEYS[i], ARGV[1])
  keep(KEYS[i])
end
redis.call('SETNX', KEYS[1], '')
keep(KEYS[1])
return n
